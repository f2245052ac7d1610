"""What has piled up goes no faster than a daemon can watch it."""

import pytest

from beatgan_daemon.bridges.kafka.pace import BURST_S, LOADS_PER_S, PAUSE_S, Pace

SLACK_S = 2 * BURST_S + 2 * PAUSE_S


def seconds_for(pace: Pace, frames: int, seconds: float, size: int, stream: str = "bed") -> float:
    """How long so many frames take that are there at once, in a clock that waits as it is told."""
    now = begin = 1000.0
    for _ in range(frames):
        while (until := pace.wait_until(stream, now)) is not None:
            assert until >= now + PAUSE_S
            now = until
        pace.went(stream, seconds, size, now)
    return now - begin


@pytest.mark.parametrize("catch_up", [1.0, 4.0, 20.0])
def test_a_stream_goes_at_so_many_times_real_time(catch_up: float) -> None:
    took = seconds_for(Pace(catch_up), 600, 1.0, 1_440)
    assert took == pytest.approx(600 / catch_up, abs=SLACK_S)


def test_short_frames_are_not_too_many_for_the_daemon() -> None:
    took = seconds_for(Pace(1000.0), 3000, 0.02, 28)
    assert took == pytest.approx(3000 / LOADS_PER_S, abs=SLACK_S)


def test_a_live_stream_never_waits() -> None:
    pace = Pace(4.0)
    for frame in range(1000):
        now = 0.2 * frame - (0.15 if frame % 7 == 0 else 0.0)
        assert pace.wait_until("bed", now) is None
        pace.went("bed", 0.2, 288, now)


def test_streams_do_not_wait_for_one_another() -> None:
    pace = Pace(4.0)
    for _ in range(100):
        pace.went("late", 1.0, 1_440, 0.0)
    assert pace.wait_until("late", 0.0) is not None
    assert pace.wait_until("live", 0.0) is None
