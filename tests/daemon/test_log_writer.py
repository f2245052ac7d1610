"""Whoever logs is never kept waiting, and never ended, whatever becomes of where the lines go."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread

import pytest

from beatgan_daemon.exit_codes import Exit
from beatgan_daemon.log_writer import LogWriter

PIPE_BYTES = 4096
LINE = b"x" * 99 + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """One that holds PIPE_BYTES."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield read, write
    os.close(write)


def test_a_pipe_that_nobody_reads_keeps_nobody_waiting(pipe: tuple[int, int]) -> None:
    read, write = pipe
    writer = LogWriter(write, max_waiting=10_000)
    for _ in range(1_000):
        assert writer.write(LINE) == len(LINE)
    assert 850 < writer.lost < 1_000
    found = bytearray()

    def take() -> None:
        while len(found) < 100 * (1_000 - lost):
            found.extend(os.read(read, 1_000))

    lost = writer.lost
    reader = Thread(target=take, daemon=True)
    reader.start()
    writer.drain(10)
    reader.join(10)
    assert bytes(found) == LINE * (1_000 - lost)
    os.close(read)


def test_a_reader_that_is_gone_costs_lines_and_nothing_else(pipe: tuple[int, int]) -> None:
    read, write = pipe
    writer = LogWriter(write)
    os.close(read)
    for _ in range(10):
        writer.write(LINE)
    writer.drain(10)
    assert writer.lost == 10


def test_lines_stay_in_order_and_whole() -> None:
    program = """
import sys
from beatgan_daemon import log, standard_streams
standard_streams.keep_nobody_waiting()
log.configure("info", "json")
for n in range(300):
    log.get().info("event", n=n, text="x" * 1000)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    lines = run.stderr.splitlines()
    assert [f'"n": {n}'.encode() in line for n, line in enumerate(lines)] == [True] * 300


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-", "2>/dev/full"])
def test_a_daemon_without_a_stderr_ends_as_it_would_with_one(closed: str) -> None:
    command = f"exec {sys.executable} -m beatgan_daemon run --model /nonexistent.pt {closed}"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == Exit.REFUSED


def test_a_file_opened_later_does_not_become_stderr() -> None:
    program = "from beatgan_daemon import standard_streams as s; s.open_missing()"
    command = (
        f"exec {sys.executable} -c '{program}; f = open(\"/dev/null\"); assert f.fileno() > 2'"
    )
    subprocess.run(["sh", "-c", f"{command} 0<&- 2>&-"], check=True)
