"""One line per event, readable by machine and man, and never a flood."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from beatgan_daemon import log


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    yield io.StringIO()
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_json_when_not_on_a_terminal(out: io.StringIO) -> None:
    log.configure(stream=out)
    log.get().info("ready", streams=3)
    assert [*lines(out)[0]] == ["ts", "level", "event", "streams"]
    assert lines(out)[0]["event"] == "ready"
    assert lines(out)[0]["ts"].endswith("Z")


def test_pretty_on_request(out: io.StringIO) -> None:
    log.configure(form="pretty", stream=out)
    log.get().info("ready", streams=3)
    assert "ready" in out.getvalue()
    assert "streams=3" in out.getvalue()


def test_level_filters(out: io.StringIO) -> None:
    log.configure("warning", stream=out)
    log.get().info("unheard")
    log.get().warning("logged_lines")
    assert [line["event"] for line in lines(out)] == ["logged_lines"]


def test_the_level_may_change_while_it_runs(out: io.StringIO) -> None:
    log.configure("warning", stream=out)
    logger = log.get()
    log.set_level("debug")
    logger.debug("logged_lines")
    log.set_level("error")
    logger.warning("unheard")
    assert [line["event"] for line in lines(out)] == ["logged_lines"]


def test_a_crash_is_one_line_with_its_traceback(out: io.StringIO) -> None:
    log.configure(stream=out)
    try:
        raise ZeroDivisionError("oh")
    except ZeroDivisionError:
        log.get().exception("crashed")
    assert len(lines(out)) == 1
    assert "ZeroDivisionError: oh" in lines(out)[0]["exception"]


def test_every_line_to_the_journal_of_systemd_has_its_priority() -> None:
    """As sd-daemon(3) has it: journald takes a level from a line's beginning, and from no JSON."""
    program = """
from beatgan_daemon import log
log.configure("debug", {form!r})
for level in ("debug", "info", "warning", "error", "critical"):
    getattr(log.get(), level)("event", text="two\\nlines")
try:
    1 / 0
except ZeroDivisionError:
    log.get().exception("crashed")
"""
    for form in ("auto", "json", "pretty"):
        read, write = os.pipe()
        status = os.fstat(write)
        environment = os.environ | {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        command = [sys.executable, "-c", program.format(form=form)]
        subprocess.run(command, stderr=write, env=environment, check=True)
        os.close(write)
        with open(read, encoding="utf-8") as pipe:
            logged_lines = pipe.read().splitlines()
        priorities = [line[:3] for line in logged_lines]
        assert all(re.fullmatch("<[0-7]>", priority) for priority in priorities), logged_lines
        if form != "pretty":
            assert priorities == ["<7>", "<6>", "<4>", "<3>", "<2>", "<3>"]
            assert json.loads(logged_lines[0][3:])["level"] == "debug"


def test_no_priority_where_stderr_is_not_the_journal(
    out: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:12345")  # of a service that started this one
    log.configure(stream=out)
    log.get().error("event")
    assert lines(out)[0]["level"] == "error"


def test_rejections_are_said_at_once_then_summed_up(out: io.StringIO) -> None:
    log.configure(stream=out)
    rejections = log.Rejections(log.get(), interval=10.0)
    for k in range(1000):
        rejections.add("header", f"frame {k}", now=100.0 + k / 1000)
    rejections.add("rate", "9 Hz", now=100.5)
    rejections.flush(now=105.0)
    rejections.flush(now=110.0)
    rejections.flush(now=130.0)
    said = [(line["reason"], line["count"], line["why"]) for line in lines(out)]
    assert said == [("header", 1, "frame 0"), ("rate", 1, "9 Hz"), ("header", 999, "frame 999")]


def test_overload_is_said_at_once_then_summed_up(out: io.StringIO) -> None:
    log.configure(stream=out)
    overloaded = log.Overloaded(log.get(), interval=5.0)
    assert not overloaded.due(100.0)
    for k in range(100):
        overloaded.add(2)
        if overloaded.due(100.0 + k / 10):
            overloaded.write(100.0 + k / 10, shed=k, streams=200)
    assert [(line["frames"], line["streams_shed"]) for line in lines(out)] == [(2, 0), (100, 50)]
    assert lines(out)[0]["level"] == "warning"
