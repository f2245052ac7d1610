"""A process that can be stopped, however it was started."""

import subprocess
import sys

from beatgan_daemon.exit_codes import Exit

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
