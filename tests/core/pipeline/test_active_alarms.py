"""What is numbered, latched, acknowledged, and known again after a restart."""

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from beatgan.pipeline import active_alarms as desks
from beatgan.pipeline.active_alarms import ActiveAlarms
from beatgan.protocol.messages import AlertMessage, Delay, decode_alert, encode_json

VF = "rhythm.ventricular-fibrillation"


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


def published(messages: list[AlertMessage]) -> list[tuple[int, str, bool, bool]]:
    return [(m.n, m.phase, m.latched, m.acknowledged) for m in messages]


def test_a_class_is_that_of_the_messages_own_beats() -> None:
    """Not of an end that comes later, also where the daemon was started again in between."""
    start = replace(message(), beat_class="V")
    (told,) = ActiveAlarms(latch=True).take(start)
    assert told.beat_class == "V"
    assert decode_alert(encode_json(told)) == told
    again = ActiveAlarms(latch=True)
    again.restore([decode_alert(encode_json(told))], 1)
    (seen,) = again.acknowledge(told.id)
    assert seen.beat_class is UNSET
    assert b'"class"' not in encode_json(seen)


def test_messages_are_numbered_without_holes() -> None:
    active_alarms = ActiveAlarms(latch=True)
    out = [
        *active_alarms.take(message()),
        *active_alarms.take(message(code="signal.flat", priority="low")),
        *active_alarms.take(message("end", code="signal.flat", priority="low", end=300)),
        *active_alarms.take(message("end", end=200)),
        *active_alarms.acknowledge(message().id),
    ]
    assert [m.n for m in out] == [0, 1, 2, 3, 4]
    assert active_alarms.active == {}


def test_a_high_priority_latches_until_it_is_acknowledged() -> None:
    active_alarms = ActiveAlarms(latch=True)
    assert published(active_alarms.take(message())) == [(0, "start", False, False)]
    (over,) = active_alarms.take(message("end", end=200))
    assert published([over]) == [(1, "update", True, False)]
    assert over.end_sample == 200
    assert active_alarms.latched() == 1
    (end,) = active_alarms.acknowledge(over.id)
    assert published([end]) == [(2, "end", False, True)]
    assert (end.end_sample, end.beats, end.id) == (200, (), over.id)
    assert active_alarms.latched() == 0
    assert active_alarms.acknowledge(over.id) == []


def test_what_was_acknowledged_early_ends_by_itself() -> None:
    active_alarms = ActiveAlarms(latch=True)
    active_alarms.take(message())
    assert published(active_alarms.acknowledge(message().id)) == [(1, "update", False, True)]
    assert active_alarms.acknowledge(message().id) == []  # once is enough
    assert published(active_alarms.take(message("update"))) == [(2, "update", False, True)]
    assert published(active_alarms.take(message("end", end=200))) == [(3, "end", False, True)]
    assert active_alarms.active == {}


RUN = "rhythm.ventricular-run"


def test_what_rises_to_high_is_to_be_acknowledged_anew() -> None:
    """Who acknowledged three beats has not seen a tachycardia."""
    active_alarms = ActiveAlarms(latch=True)
    (run,) = active_alarms.take(message(code=RUN, priority="medium"))
    (seen,) = active_alarms.acknowledge(run.id, "nurse", 9)
    assert (seen.acknowledged, seen.by, seen.acknowledged_ns) == (True, "nurse", 9)
    (more,) = active_alarms.take(message("update", code=RUN, priority="medium"))
    assert (more.acknowledged, more.by) == (True, "nurse")
    (risen,) = active_alarms.take(message("update", code=RUN))
    assert (risen.acknowledged, risen.by, risen.acknowledged_ns) == (False, UNSET, UNSET)
    assert active_alarms.counts() == {(RUN, "high"): 1}
    (over,) = active_alarms.take(message("end", code=RUN, end=200))
    assert published([over]) == [(4, "update", True, False)]
    (end,) = active_alarms.acknowledge(over.id, "doctor", 11)
    assert published([end]) == [(5, "end", False, True)]
    assert (end.by, end.acknowledged_ns) == ("doctor", 11)


def test_what_rises_with_its_last_message_latches() -> None:
    active_alarms = ActiveAlarms(latch=True)
    (run,) = active_alarms.take(message(code=RUN, priority="medium"))
    active_alarms.acknowledge(run.id, "nurse", 9)
    (over,) = active_alarms.take(message("end", code=RUN, end=200))
    assert published([over]) == [(2, "update", True, False)]
    assert over.by is UNSET


def test_what_was_acknowledged_when_high_stays_so() -> None:
    active_alarms = ActiveAlarms(latch=True)
    active_alarms.take(message(code=RUN, priority="medium"))
    (risen,) = active_alarms.take(message("update", code=RUN))
    active_alarms.acknowledge(risen.id, "nurse", 9)
    again = ActiveAlarms(latch=True)
    again.restore(active_alarms.active.values(), 3)
    for desk in (active_alarms, again):
        assert published(desk.take(message("update", code=RUN))) == [(3, "update", False, True)]
        assert published(desk.take(message("end", code=RUN, end=9))) == [(4, "end", False, True)]


def test_a_rise_is_known_after_a_restart_in_between() -> None:
    before = ActiveAlarms(latch=True)
    (run,) = before.take(message(code=RUN, priority="medium"))
    (seen,) = before.acknowledge(run.id, "nurse", 9)
    again = ActiveAlarms(latch=True)
    again.restore([decode_alert(encode_json(seen))], 2)
    (risen,) = again.take(message("update", code=RUN))
    assert (risen.acknowledged, risen.by) == (False, UNSET)


@pytest.mark.parametrize(("latch", "priority"), [(True, "medium"), (True, "low"), (False, "high")])
def test_other_priorities_do_not_latch_and_it_can_be_switched_off(
    latch: bool, priority: str
) -> None:
    active_alarms = ActiveAlarms(latch)
    active_alarms.take(message(priority=priority))
    assert published(active_alarms.take(message("end", priority=priority, end=200))) == [
        (1, "end", False, False)
    ]


def test_a_newer_episode_takes_the_place_of_a_latched_one() -> None:
    active_alarms = ActiveAlarms(latch=True)
    active_alarms.take(message())
    active_alarms.take(message("end", end=200))
    older, newer = active_alarms.take(message(number=1))
    assert (older.id, older.phase, older.acknowledged) == (message().id, "end", False)
    assert (newer.id, newer.phase) == (message(number=1).id, "start")
    assert (
        active_alarms.take(message(stream="other"))[0].phase == "start"
    )  # another bed's is not touched
    assert active_alarms.latched() == 0


def test_a_latched_episode_of_the_former_code_gives_way_too() -> None:
    old = replace(message(code="rhythm.fibrillation"), n=6, latched=True)
    active_alarms = ActiveAlarms(latch=True)
    active_alarms.restore([old], 7)
    ended, begun = active_alarms.take(message(number=3))
    assert (ended.id, ended.phase) == (old.id, "end")
    assert (begun.id, begun.phase) == (message(number=3).id, "start")


def test_a_recordings_end_releases_what_is_latched_of_it() -> None:
    active_alarms = ActiveAlarms(latch=True)
    for stream in ("a", "b"):
        active_alarms.take(message(stream=stream))
        active_alarms.take(message("end", stream=stream, end=200))
    assert [(m.stream, m.phase) for m in active_alarms.release("a")] == [("a", "end")]
    assert active_alarms.latched() == 1


def test_a_restarted_desk_goes_on_where_the_other_was() -> None:
    before, after = ActiveAlarms(latch=True), ActiveAlarms(latch=True)
    before.take(message())
    before.take(message("end", end=200))
    before.take(message(code="beat.anomalous", priority="medium"))
    after.restore(before.active.values(), following=3)
    assert after.counts() == before.counts() == {(VF, "high"): 1, ("beat.anomalous", "medium"): 1}
    for active_alarms in (before, after):
        assert published(active_alarms.acknowledge(message().id)) == [(3, "end", False, True)]
        ended = message("end", code="beat.anomalous", priority="medium", end=900)
        assert published(active_alarms.take(ended)) == [(4, "end", False, False)]


def test_episodes_that_nobody_can_end_any_more_are_ended() -> None:
    active_alarms = ActiveAlarms(latch=True)
    active_alarms.restore([replace(message(), n=4)], following=9)
    (end,) = active_alarms.end(list(active_alarms.active.values()))
    assert (end.n, end.phase, end.end_sample, end.suspended) == (9, "end", 100, False)
    assert active_alarms.active == {}


def test_latched_episodes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "MAX_LATCHED", 2)
    active_alarms = ActiveAlarms(latch=True)
    for stream in ("a", "b"):
        active_alarms.take(message(stream=stream))
        active_alarms.take(message("end", stream=stream, end=200))
    active_alarms.take(message(stream="c"))
    remaining, gone = active_alarms.take(message("end", stream="c", end=200))
    assert (remaining.stream, remaining.latched) == ("c", True)
    assert (gone.stream, gone.phase) == ("a", "end")


def test_what_is_kept_is_brief() -> None:
    active_alarms = ActiveAlarms(latch=True)
    (first,) = active_alarms.take(message())
    assert first.beats == (100,)
    assert active_alarms.active[first.id].beats == ()


def test_who_acknowledged_and_when_stays_with_the_episode() -> None:
    alarms = ActiveAlarms(latch=True)
    (start,) = alarms.take(message())
    assert b'"by"' not in encode_json(start)
    (update,) = alarms.acknowledge(start.id, "desk", 55)
    (later,) = alarms.take(message("update"))
    (end,) = alarms.take(message("end", end=300))
    for each in (update, later, end):
        assert (each.acknowledged, each.by, each.acknowledged_ns) == (True, "desk", 55)
    (second,) = alarms.take(message(number=1))
    alarms.take(message("end", number=1, end=300))
    (released,) = alarms.acknowledge(second.id, "desk", 56)
    assert (released.phase, released.by, released.acknowledged_ns) == ("end", "desk", 56)
    assert alarms.acknowledge(second.id, "other", 57) == []
