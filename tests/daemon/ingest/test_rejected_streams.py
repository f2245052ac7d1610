"""Frames that come but are refused: an alarm by name, bounded in number, that ends."""

import pytest

from beatgan_daemon.ingest.rejected_streams import (
    ENDS_S,
    LASTS_S,
    MAX_NAMED,
    MAX_STREAMS,
    RejectedStreams,
)


class World:
    def __init__(self, *watched: str) -> None:
        self.watched = set(watched)
        self.rejected = RejectedStreams(self.watched.__contains__)
        self.now = 0.0
        self.told: list[tuple[str, str, str]] = []
        self.texts: list[object] = []

    def refuse(self, seconds: float, *names: str | None, reason: str = "streams") -> None:
        for _ in range(round(seconds / 0.5) + 1):
            for name in names:
                self.rejected.add(reason, name, "because", self.now)
            self.wait(0.5)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        for alert in self.rejected.alerts(self.now, lambda: round(self.now * 1e9)):
            self.told.append((alert.stream, alert.code, alert.phase))
            self.texts.append(alert.text)


def test_who_finds_no_place_is_named_until_its_frames_end() -> None:
    world = World()
    world.refuse(LASTS_S, "bed-7")
    assert world.told == [("bed-7", "signal.rejected", "start")]
    assert "streams" in str(world.texts[0])
    assert "streams.max" in str(world.rejected.full)
    world.refuse(60.0, "bed-7")
    world.wait(ENDS_S + 1)
    assert [phase for _, _, phase in world.told] == ["start", "end"]
    assert world.rejected.full is world.rejected.summary is None


def test_who_is_watched_after_all_is_no_longer_told() -> None:
    world = World()
    world.refuse(LASTS_S, "bed-7", reason="rate")
    world.watched.add("bed-7")
    world.wait(1.0)
    assert world.told[-1] == ("bed-7", "signal.rejected", "end")


def test_a_bad_frame_of_a_watched_stream_is_no_alarm() -> None:
    world = World("bed-7")
    world.refuse(60.0, "bed-7", reason="payload")
    assert world.told == []


@pytest.mark.parametrize("reason", ["not_allowed", "sender"])
def test_another_key_under_a_watched_name_is_a_second_source(reason: str) -> None:
    world = World("bed-7")
    world.refuse(60.0, "bed-7", "bed-8", reason=reason)
    assert sorted(world.told) == [
        ("bed-7", "signal.source-conflict", "start"),
        ("bed-8", "signal.rejected", "start"),
    ]


def test_one_frame_is_no_alarm() -> None:
    world = World()
    world.refuse(0.0, "bed-7")
    world.wait(60.0)
    assert world.told == []


def test_names_without_end_make_a_bounded_number_of_alarms() -> None:
    world = World()
    names = [f"mad-{k}" for k in range(2 * MAX_STREAMS)]
    world.refuse(30.0, *names, None)
    assert len(world.rejected._streams) <= MAX_STREAMS + 1
    assert len(world.told) == MAX_NAMED + 1
    assert ("", "signal.rejected", "start") in world.told
    world.wait(ENDS_S + 1)
    assert len(world.told) == 2 * (MAX_NAMED + 1)


def test_a_discharge_does_not_silence_what_goes_on() -> None:
    """Its end was told by the discharge; whoever is still refused is told anew."""
    world = World()
    world.refuse(LASTS_S, "bed-7")
    world.rejected.forget("bed-7")
    world.rejected.forget("bed-8")
    world.refuse(LASTS_S, "bed-7")
    assert world.told == [("bed-7", "signal.rejected", "start")] * 2
