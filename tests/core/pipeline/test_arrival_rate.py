"""The rate at which samples arrive, against the one that they claim: who is found, and who not."""

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import numpy as np
import pytest

from beatgan.pipeline.arrival_rate import ArrivalRate
from beatgan.protocol.messages import AlertMessage, Message
from beatgan.types import Chunk

NOW_NS = 1_700_000_000_000_000_000
Frames = Iterable[tuple[float, int]]  # when a frame arrives, in s, and the samples that it brings


def steady(seconds: float, true: float, frame_s: float, since: float = 0.0) -> Frames:
    """Frames of ``frame_s``, at the rate ``true``."""
    ends = [round(k * frame_s * true) for k in range(round(seconds / frame_s) + 1)]
    return [(since + k * frame_s, ends[k] - ends[k - 1]) for k in range(1, len(ends))]


def changes(frames: Frames, claimed: float, began_ns: int = NOW_NS) -> list[tuple[float, bool]]:
    """When `deviates` changes, for stamps that follow from the sample count as claimed."""
    rate, sample, found, now = ArrivalRate(claimed), 0, [], 0.0
    for now, count in frames:
        sample += count
        t_ns = began_ns + round(sample * 1e9 / claimed)
        if rate.push(sample, t_ns, now, lambda: NOW_NS + round(now * 1e9)):  # noqa: B023
            found.append((now, rate.deviates))
    return found


@pytest.mark.parametrize("frame_s", [0.02, 0.2, 1.0])
@pytest.mark.parametrize(("claimed", "true"), [(360, 250), (250, 360), (500, 460), (1000, 500)])
def test_a_wrong_rate_is_found_within_a_minute(frame_s: float, claimed: int, true: int) -> None:
    ((when, deviates),) = changes(steady(300, true, frame_s), claimed)
    assert deviates
    assert when < 62


@pytest.mark.parametrize("frame_s", [0.02, 0.2, 1.0, 2.5, 30.0])
@pytest.mark.parametrize(("claimed", "true"), [(360, 360), (130, 130.62), (500, 512)])
def test_a_right_rate_is_not_whatever_the_frames(
    frame_s: float, claimed: float, true: float
) -> None:
    assert changes(steady(1200, true, frame_s), claimed) == []


def test_large_chunks_of_many_frames_are_no_wrong_rate() -> None:
    bursts = ((30.0 * (k // 150 + 1) + k % 150 * 0.002, 72) for k in range(150 * 40))
    assert changes(bursts, 360) == []


@pytest.mark.parametrize("outage", [4.0, 20.0, 300.0, 3600.0])
@pytest.mark.parametrize("speed", [1.5, 4.0, 50.0])
def test_neither_an_outage_nor_the_catch_up_is_a_wrong_rate(outage: float, speed: float) -> None:
    backlog, step = round(outage / 0.2), 0.2 / speed
    resumed = 60 + outage
    caught_up = resumed + backlog * step / (1 - 1 / speed)
    frames = chain(
        steady(60, 360, 0.2),
        ((resumed + k * step, 72) for k in range(round((caught_up - resumed) / step))),
        steady(120, 360, 0.2, since=caught_up),
    )
    assert changes(frames, 360) == []


def test_jitter_is_no_wrong_rate() -> None:
    rng = np.random.default_rng(3)
    late = np.sort(np.arange(6000) * 0.2 + rng.exponential(0.5, 6000))
    assert changes([(float(at), 72) for at in late], 360) == []


def test_a_replay_far_faster_than_life_is_no_wrong_rate() -> None:
    assert changes([(k * 0.02, 72) for k in range(10_000)], 360) == []


def test_a_rate_that_comes_right_is_right_again() -> None:
    frames = [*steady(120, 250, 0.2), *steady(120, 360, 0.2, since=120)]
    assert [deviates for _, deviates in changes(frames, 360)] == [True, False]


@pytest.mark.parametrize("t_ns", [0, -(2**63), 2**63 - 1])
def test_a_broken_clock_hides_no_wrong_rate(t_ns: int) -> None:
    rate, found = ArrivalRate(250), 0
    for k in range(400):
        found += rate.push(72 * k, t_ns, 0.2 * k, lambda: NOW_NS)
    assert found == 1
    assert rate.deviates
    assert rate.ratio == pytest.approx(1.44)


def test_the_alarm_names_both_rates_and_ends(new_engine: Callable[..., Any]) -> None:
    engine, _ = new_engine(unix_ns=lambda: NOW_NS)
    messages: list[Message] = []
    first = 0
    for at, size in [*steady(60, 250, 0.2), *steady(60, 360, 0.2, since=60)]:
        samples = np.zeros((size, 1), np.float32)
        engine.receive(Chunk("bed", 1, 0, first, NOW_NS, 360.0, ("II",), samples), at)
        messages += engine.poll(at + 0.1).messages
        first += size
    start, end = (
        m for m in messages if isinstance(m, AlertMessage) and m.code == "signal.rate-mismatch"
    )
    assert (start.phase, start.priority, start.kind) == ("start", "medium", "technical")
    assert "360 Hz" in str(start.text)
    assert "250 Hz" in str(start.text)
    assert (end.id, end.phase) == (start.id, "end")
    assert "signal.rate-mismatch" not in str(engine.episodes())


def test_offline_no_time_passes_and_nothing_is_measured(new_engine: Callable[..., Any]) -> None:
    engine, counts = new_engine()
    for k in range(1000):
        samples = np.zeros((50, 1), np.float32)
        engine.receive(Chunk("bed", 1, 0, 50 * k, 0, 360.0, ("II",), samples), 0.0)
    engine.drain(0.0)
    assert counts["alerted[signal.rate-mismatch]"] == 0
