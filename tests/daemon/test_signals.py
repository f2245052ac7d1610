"""A process that can be stopped, however it was started."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from beatgan.library.output_file import writing
from beatgan_daemon.exit_codes import Exit
from beatgan_daemon.signals import tidy_end

PROGRAM = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
from beatgan_daemon.signals import hold_reload, stop_signals
hold_reload()
with stop_signals() as stopping:
    signal.raise_signal(signal.SIGTERM)
    sys.exit(0 if stopping() else 7)
"""


def test_signals_that_were_blocked_before_stop_it_all_the_same() -> None:
    assert subprocess.run([sys.executable, "-c", PROGRAM], check=False).returncode == 0


def test_a_working_directory_that_is_no_more_keeps_nobody_from_starting() -> None:
    command = (
        'd=$(mktemp -d); cd "$d"; rmdir "$d"; '
        f"exec {sys.executable} -m beatgan_daemon check --model /nonexistent.pt"
    )
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert "/nonexistent.pt: cannot open the model" in run.stderr
    assert run.returncode == Exit.REFUSED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_output_that_was_ended_leaves_nothing_and_the_old_one(
    tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out"
    out.write_text("old")
    before = signal.getsignal(number)

    def write() -> None:
        with tidy_end(), writing(out) as file:
            file.write(b"half of")
            signal.raise_signal(number)

    with pytest.raises(SystemExit) as ended:
        write()
    assert ended.value.code == 128 + number
    assert out.read_text() == "old"
    assert [*tmp_path.iterdir()] == [out]
    assert signal.getsignal(number) is before
