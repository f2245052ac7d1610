"""What is numbered, latched, acknowledged, and known again after a restart."""

import pytest
from msgspec.structs import replace

from beatgan.protocol.messages import AlertMessage, Delay
from beatgan_daemon.pipeline import active_alarms as desks
from beatgan_daemon.pipeline.active_alarms import Desk

VF = "rhythm.fibrillation"


def message(
    phase: str = "start",
    code: str = VF,
    priority: str = "high",
    number: int = 0,
    stream: str = "bed",
    end: int | None = None,
) -> AlertMessage:
    return AlertMessage(
        id=f"{stream}/1/0/{code}/{number}",
        n=-1,
        stream=stream,
        epoch=1,
        kind="physiological",
        code=code,
        priority=priority,
        phase=phase,
        onset_sample=100,
        onset_ns=5,
        end_sample=end,
        sample=100 if end is None else end,
        lead=None,
        suspended=False,
        raised_ns=7,
        score=None,
        threshold=None,
        beats=(100,),
        delay_ms=Delay(1.0, 2.0),
        explanation=None,
    )


def told(messages: list[AlertMessage]) -> list[tuple[int, str, bool, bool]]:
    return [(m.n, m.phase, m.latched, m.acknowledged) for m in messages]


def test_messages_are_numbered_without_holes() -> None:
    desk = Desk(latch=True)
    out = [
        *desk.take(message()),
        *desk.take(message(code="signal.flat", priority="low")),
        *desk.take(message("end", code="signal.flat", priority="low", end=300)),
        *desk.take(message("end", end=200)),
        *desk.acknowledge(message().id),
    ]
    assert [m.n for m in out] == [0, 1, 2, 3, 4]
    assert desk.active == {}


def test_a_high_priority_latches_until_it_is_acknowledged() -> None:
    desk = Desk(latch=True)
    assert told(desk.take(message())) == [(0, "start", False, False)]
    (over,) = desk.take(message("end", end=200))
    assert told([over]) == [(1, "update", True, False)]
    assert over.end_sample == 200
    assert desk.latched() == 1
    (end,) = desk.acknowledge(over.id)
    assert told([end]) == [(2, "end", False, True)]
    assert (end.end_sample, end.beats, end.id) == (200, (), over.id)
    assert desk.latched() == 0
    assert desk.acknowledge(over.id) == []


def test_what_was_acknowledged_early_ends_by_itself() -> None:
    desk = Desk(latch=True)
    desk.take(message())
    assert told(desk.acknowledge(message().id)) == [(1, "update", False, True)]
    assert desk.acknowledge(message().id) == []  # once is enough
    assert told(desk.take(message("update"))) == [(2, "update", False, True)]
    assert told(desk.take(message("end", end=200))) == [(3, "end", False, True)]
    assert desk.active == {}


@pytest.mark.parametrize(("latch", "priority"), [(True, "medium"), (True, "low"), (False, "high")])
def test_other_priorities_do_not_latch_and_it_can_be_switched_off(
    latch: bool, priority: str
) -> None:
    desk = Desk(latch)
    desk.take(message(priority=priority))
    assert told(desk.take(message("end", priority=priority, end=200))) == [(1, "end", False, False)]


def test_a_newer_episode_takes_the_place_of_a_latched_one() -> None:
    desk = Desk(latch=True)
    desk.take(message())
    desk.take(message("end", end=200))
    older, newer = desk.take(message(number=1))
    assert (older.id, older.phase, older.acknowledged) == (message().id, "end", False)
    assert (newer.id, newer.phase) == (message(number=1).id, "start")
    assert desk.take(message(stream="other"))[0].phase == "start"  # another bed's is not touched
    assert desk.latched() == 0


def test_a_recordings_end_releases_what_is_latched_of_it() -> None:
    desk = Desk(latch=True)
    for stream in ("a", "b"):
        desk.take(message(stream=stream))
        desk.take(message("end", stream=stream, end=200))
    assert [(m.stream, m.phase) for m in desk.release("a")] == [("a", "end")]
    assert desk.latched() == 1


def test_a_restarted_desk_goes_on_where_the_other_was() -> None:
    before, after = Desk(latch=True), Desk(latch=True)
    before.take(message())
    before.take(message("end", end=200))
    before.take(message(code="beat.anomalous", priority="medium"))
    after.restore(before.active.values(), following=3)
    assert after.counts() == before.counts() == {(VF, "high"): 1, ("beat.anomalous", "medium"): 1}
    for desk in (before, after):
        assert told(desk.acknowledge(message().id)) == [(3, "end", False, True)]
        ended = message("end", code="beat.anomalous", priority="medium", end=900)
        assert told(desk.take(ended)) == [(4, "end", False, False)]


def test_episodes_that_nobody_can_end_any_more_are_ended() -> None:
    desk = Desk(latch=True)
    desk.restore([replace(message(), n=4)], following=9)
    (end,) = desk.end(list(desk.active.values()))
    assert (end.n, end.phase, end.end_sample, end.suspended) == (9, "end", 100, False)
    assert desk.active == {}


def test_latched_episodes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "MOST_LATCHED", 2)
    desk = Desk(latch=True)
    for stream in ("a", "b"):
        desk.take(message(stream=stream))
        desk.take(message("end", stream=stream, end=200))
    desk.take(message(stream="c"))
    kept, gone = desk.take(message("end", stream="c", end=200))
    assert (kept.stream, kept.latched) == ("c", True)
    assert (gone.stream, gone.phase) == ("a", "end")


def test_what_is_kept_is_brief() -> None:
    desk = Desk(latch=True)
    (first,) = desk.take(message())
    assert first.beats == (100,)
    assert desk.active[first.id].beats == ()
