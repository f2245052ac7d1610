"""A stream that moves from one engine to another, as between two shards."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.model.scorer import Scorer
from beatgan.pipeline.engine import Engine
from beatgan.pipeline.snapshot import decode, encode
from beatgan.protocol.messages import AlertMessage, Message, StatusMessage
from beatgan.types import Chunk, Floats
from tests.support.engine_on_disk import Daemon, pieces, timeless

NewEngine = Callable[..., tuple[Engine, Counter[str]]]


def moved(before: Daemon, after: Daemon, streams: set[str], now: float) -> None:
    """``after`` goes on with ``streams`` of ``before``."""
    outgoing, snapshots = before.engine.release(streams, now)
    before.write(outgoing.messages, now)
    alerts = before.engine.active_alarms.hand_over(streams)
    for snapshot in snapshots:
        after.engine.restore(decode(encode(snapshot)), now)
    after.write(after.engine.active_alarms.take_over(alerts), now)
    after.write(after.engine.drain(now).messages, now)


def first_time(messages: list[Message]) -> list[Message]:
    return [m for m in messages if not (isinstance(m, AlertMessage) and m.repeat is True)]


def of(stream: str, chunks: list[Chunk]) -> list[Chunk]:
    return [each for each in chunks if each.stream == stream]


@settings(max_examples=25, deadline=None)
@given(
    at=st.integers(1, 21_000),
    overlap=st.integers(0, 700),
    size=st.integers(36, 2000),
    batch=st.integers(1, 40),
    revised=st.booleans(),
)
def test_a_move_at_any_moment_changes_no_beat_no_score_and_no_alert(
    at: int,
    overlap: int,
    size: int,
    batch: int,
    revised: bool,
    troubled: Floats,
    new_engine: NewEngine,
    new_revising_scorer: Callable[[], Scorer],
) -> None:
    options: dict[str, Any] = {"scorer": new_revising_scorer()} if revised else {}
    whole = Daemon(new_engine(**options)[0])
    whole.receive(pieces(troubled, 0, len(troubled)), 0.0, step=0.0)
    whole.stop(0.0)
    one = Daemon(new_engine(batch_size=batch, **options)[0])
    other = Daemon(new_engine(batch_size=batch, **options)[0])
    now = one.receive(pieces(troubled, 0, at, size), 0.0, step=0.0)
    rest = pieces(troubled, at, len(troubled), size)
    both = pieces(troubled, at, min(at + overlap, len(troubled)), size)  # heard by both
    now = one.receive(of("bed", both), now, step=0.0)
    moved(one, other, {"bed"}, now)
    one.receive(of("cot", rest), now, step=0.0)
    other.receive(of("bed", rest), now, step=0.0)
    one.stop(now)
    other.stop(now)
    said = {"bed": one.messages + other.messages, "cot": one.messages}
    for stream, messages in said.items():
        published = [m for m in timeless(first_time(messages)) if m.stream == stream]
        assert published == [m for m in timeless(whole.messages) if m.stream == stream]
    assert one.engine.streams() == ("cot",)
    assert other.engine.streams() == ("bed",)
    assert [m.stream for m in other.messages if m.stream != "bed"] == []
    (restored,) = [m for m in other.messages if isinstance(m, StatusMessage)][:1]
    assert restored.state == "restored"


def test_what_is_under_way_goes_on_under_its_id_and_ends_once(
    troubled: Floats, new_engine: NewEngine
) -> None:
    one, other = Daemon(new_engine()[0]), Daemon(new_engine()[0])
    now = one.receive(pieces(troubled, 0, 13_320), 0.0)
    under_way = {name for name, m in one.active().items() if m.stream == "bed"}
    assert under_way
    moved(one, other, {"bed"}, now)
    assert {m.id for m in other.journal} == under_way
    assert all(m.repeat is True for m in other.journal)
    assert set(one.engine.active_alarms.active) == {
        name for name, m in one.active().items() if m.stream == "cot"
    }
    now = other.receive(of("bed", pieces(troubled, 13_320, len(troubled))), now)
    other.engine.end("bed", now)
    other.stop(now)
    told = [m for m in (*one.journal, *other.journal) if m.repeat is not True]
    phases = [(m.id, m.phase) for m in told]
    began = [name for name, phase in phases if phase == "start"]
    bed = [name for name in began if name.startswith("bed")]
    assert set(bed) >= under_way
    assert len(set(began)) == len(began)
    assert sorted(name for name, phase in phases if phase == "end" and name in bed) == sorted(bed)
    assert [m.n for m in other.journal] == list(range(len(other.journal)))


def test_nothing_is_left_of_what_moved(troubled: Floats, new_engine: NewEngine) -> None:
    engine, counts = new_engine()
    one = Daemon(engine)
    now = one.receive(pieces(troubled, 0, 7200), 0.0)
    outgoing, snapshots = engine.release({"bed", "unknown"}, now)
    assert [each.stream for each in snapshots] == ["bed"]
    assert not [m for m in outgoing.messages if isinstance(m, StatusMessage)]  # it has not ended
    assert not engine.knows("bed")
    assert not engine.watches("bed")
    assert engine.episodes() == {name for name in engine.episodes() if not name.startswith("bed")}
    assert counts["streams"] == 1
    later = engine.poll(now + 100.0).messages
    assert {m.stream for m in later} == {"cot"}
