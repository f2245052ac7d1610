"""Every stream is saved once a round, and not all at once."""

from collections import Counter

import pytest

from beatgan.pipeline.checkpointing import CheckpointSchedule


@pytest.mark.parametrize("step", [0.01, 0.7, 5.0])
@pytest.mark.parametrize("streams", [1, 7, 1000])
def test_each_stream_has_a_turn_in_each_round(streams: int, step: float) -> None:
    names = [f"bed-{n}" for n in range(streams)]
    schedule = CheckpointSchedule(30.0, now=100.0)
    last = dict.fromkeys(names, 100.0)
    most, now = 0, 100.0
    while now < 400.0:
        now += step
        due = schedule.due(names, now)
        most = max(most, len(due))
        for name in due:
            if last[name] > 100.0:
                assert now - last[name] < 30.0 + 3 * step
            last[name] = now
    assert min(last.values()) > 365.0
    assert most <= streams * step / 30.0 + 2


def test_nobody_has_two_schedule_in_a_round() -> None:
    schedule = CheckpointSchedule(30.0, now=0.0)
    counts: Counter[str] = Counter()
    for tick in range(1, 3001):
        counts.update(schedule.due(["a", "b", "c"], tick / 10))
    assert set(counts.values()) == {9}


def test_who_comes_later_takes_part_in_the_next_round() -> None:
    schedule = CheckpointSchedule(30.0, now=0.0)
    assert schedule.due([], 31.0) == []
    assert schedule.due(["a"], 62.0) == []
    assert schedule.due(["a", "b"], 91.9) == ["a"]
    schedule.due(["a", "b"], 92.1)
    assert schedule.due(["a", "b"], 122.0) == ["a", "b"]


def test_after_a_long_pause_all_have_their_turn() -> None:
    schedule = CheckpointSchedule(30.0, now=0.0)
    schedule.due(["a", "b", "c"], 30.0)
    assert schedule.due(["a", "b", "c"], 300.0) == ["a", "b", "c"]
