"""Clocks that differ: measured now and then, followed slowly, jumped after where one was set."""

import pytest

from beatgan_daemon.bridges.lsl.clock import MEASURE_S, StreamClock
from beatgan_daemon.bridges.slewed_offset import SLEW, SlewedOffset


def test_a_small_difference_is_followed_slowly() -> None:
    offset = SlewedOffset(10.0, 0.0)
    assert not offset.measure(10.005, 0.0)
    assert offset.at(1.0) == pytest.approx(10.0 + SLEW)
    assert offset.at(3.0) == pytest.approx(10.0 + 3 * SLEW)
    assert offset.at(100.0) == 10.005
    offset.measure(10.004, 100.0)
    assert offset.at(100.5) == pytest.approx(10.0045)


def test_a_clock_that_was_set_is_jumped_after() -> None:
    offset = SlewedOffset(10.0, 0.0)
    assert offset.measure(3610.0, 1.0)
    assert offset.at(1.0) == 3610.0


def test_time_that_stands_still_or_goes_back_changes_nothing() -> None:
    offset = SlewedOffset(10.0, 5.0)
    offset.measure(10.1, 5.0)
    assert offset.at(5.0) == offset.at(4.0) == 10.0


def test_stamps_become_unix_times() -> None:
    corrections, unix = [0.25], [1_700_000_000.0]
    clock = StreamClock(lambda: corrections[0], lambda: unix[0], 100.0)
    assert clock.correction(100.0) == 0.25
    assert clock.unix_ns(100.5, 100.0) == 1_700_000_100_500_000_000
    corrections[0] = 0.26
    clock.update(100.0 + MEASURE_S - 0.1)
    assert clock.correction(110.0) == 0.25  # not measured yet
    clock.update(110.0)
    assert clock.correction(111.0) == pytest.approx(0.251)


def test_a_source_that_started_again_has_another_clock() -> None:
    corrections: list[float | None] = [0.25]
    clock = StreamClock(lambda: corrections[0], lambda: 0.0, 0.0)
    corrections[0] = None
    clock.update(1.0, reset=True)
    assert not clock.known
    corrections[0] = -700.0
    clock.update(1.1)
    assert clock.known
    assert clock.correction(1.1) == -700.0
