"""Killed, and sent again what came since the checkpoint, an engine says what it would have said."""

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from beatgan.alarms.limits import AlarmLimits
from beatgan.model.scorer import Scorer
from beatgan.pipeline.engine import Engine
from beatgan.pipeline.snapshot import decode
from beatgan.protocol.messages import AlertMessage, BeatMessage, Message, StatusMessage
from beatgan.types import Floats
from tests.support.chunks import START_NS, make_chunk
from tests.support.engine_on_disk import Daemon, pieces, timeless

NewEngine = Callable[..., tuple[Engine, Counter[str]]]


def alerts(messages: Iterable[Message]) -> list[bytes]:
    found = timeless(each for each in messages if isinstance(each, AlertMessage))
    return sorted(map(msgspec.json.encode, found))


def beats(messages: Iterable[Message]) -> set[bytes]:
    return {msgspec.json.encode(each) for each in messages if isinstance(each, BeatMessage)}


def lost(messages: Iterable[Message]) -> list[StatusMessage]:
    return [each for each in messages if isinstance(each, StatusMessage) and each.state == "gap"]


@settings(max_examples=40, deadline=None)
@given(
    at=st.integers(1, 21_000),
    size=st.integers(90, 1500),
    size_again=st.integers(90, 1500),
    round_s=st.sampled_from([1.0, 7.0, 30.0]),
    earlier=st.integers(0, 500),
    batch=st.integers(1, 40),
    revised=st.booleans(),
)
@example(at=10_801, size=90, size_again=90, round_s=30.0, earlier=0, batch=1, revised=False)
def test_what_is_sent_again_after_a_kill_leaves_no_trace(
    at: int,
    size: int,
    size_again: int,
    round_s: float,
    earlier: int,
    batch: int,
    revised: bool,
    troubled: Floats,
    new_engine: NewEngine,
    new_revising_scorer: Callable[[], Scorer],
) -> None:
    scorer = {"scorer": new_revising_scorer()} if revised else {}
    whole = Daemon(new_engine(**scorer)[0])
    whole.receive(pieces(troubled, 0, len(troubled)), 0.0, step=0.0)
    whole.stop(0.0)
    before = Daemon(new_engine(batch_size=batch, **scorer)[0], round_s=round_s)
    now = before.receive(pieces(troubled, 0, at, size), 0.0, step=size / 720)
    after = before.restarted(new_engine(batch_size=batch, **scorer)[0], now)  # killed
    begins = {}
    for name in ("bed", "cot"):
        state = after.engine.state(name)
        begins[name] = 0 if state is None else max(0, state.stream.following - earlier)
    again = pieces(troubled, 0, len(troubled), size_again)
    pushed = [each for each in again if each.first + size_again > begins[each.stream]]
    # All at once: one that has little to catch up with would fall silent beside one with much.
    now = after.receive(pushed, now, step=0.0)
    after.stop(now)
    assert alerts(after.journal) == alerts(whole.journal)
    assert beats([*before.messages, *after.messages]) == beats(whole.messages)
    assert lost(after.messages) == lost(whole.messages)


def killed(samples: Floats, new_engine: NewEngine, until: int) -> tuple[Daemon, float]:
    """A daemon whose checkpoints are some seconds old, and whose alarm states are newer."""
    daemon = Daemon(new_engine()[0], round_s=9.0)
    now = daemon.receive(pieces(samples, 0, until), 0.0)
    return daemon, now


def test_a_killed_stream_knows_what_it_can_still_use(
    troubled: Floats, new_engine: NewEngine
) -> None:
    before, now = killed(troubled, new_engine, 9720)
    state, checkpoint = decode(before.alarms["bed"]), decode(before.checkpoints["bed"])
    assert checkpoint.expected < state.expected - 1000
    after = before.restarted(new_engine()[0], now)
    stream = after.engine.state("bed").stream  # type: ignore[union-attr]
    assert (stream.following, stream.expected) == (checkpoint.expected, state.expected)
    after.receive([make_chunk(troubled[9720:9800], 9720)], now)
    assert stream.following == stream.expected == 9800


def test_a_second_kill_while_it_catches_up_costs_nothing(
    troubled: Floats, new_engine: NewEngine
) -> None:
    whole = Daemon(new_engine()[0])
    whole.receive(pieces(troubled, 0, len(troubled)), 0.0)
    whole.stop(0.0)
    first, now = killed(troubled, new_engine, 9720)
    second = first.restarted(new_engine()[0], now)
    stream = second.engine.state("bed").stream  # type: ignore[union-attr]
    begin = stream.following
    now = second.receive(pieces(troubled, begin, begin + 100, 50), now)
    second.checkpoints |= dict(second.checkpointer.all())
    assert begin < stream.following < stream.expected
    third = second.restarted(new_engine()[0], now)
    again = third.engine.state("bed").stream  # type: ignore[union-attr]
    assert again.following == stream.following
    now = third.receive(pieces(troubled, again.following, len(troubled)), now)
    third.stop(now)
    assert alerts(third.journal) == alerts(whole.journal)


@pytest.mark.parametrize("change", ["time", "epoch", "leads"])
def test_frames_that_are_no_repeats_are_not_taken_for_some(
    change: str, troubled: Floats, new_engine: NewEngine
) -> None:
    before, now = killed(troubled, new_engine, 9720)
    after = before.restarted(new_engine()[0], now)
    stream = after.engine.state("bed").stream  # type: ignore[union-attr]
    begin = stream.following
    samples = troubled[begin : begin + 200]
    chunk = {
        "time": make_chunk(samples, begin, t_ns=START_NS + 10**12),
        "epoch": make_chunk(samples, begin, epoch=2),
        "leads": make_chunk(samples, begin, leads=("V1",)),
    }[change]
    after.receive([chunk], now)
    assert stream.following == begin


def test_a_repeat_is_a_sign_of_life_only_while_it_brings_something(
    troubled: Floats, new_engine: NewEngine
) -> None:
    before, now = killed(troubled, new_engine, 9720)
    after = before.restarted(new_engine()[0], now)
    state = after.engine.state("bed")
    assert state is not None
    begin = state.stream.following
    pushed = [make_chunk(troubled[at : at + 90], at) for at in range(begin, 9360, 90)]
    for each in pushed:
        now = after.receive([each], now, step=12.0 / len(pushed))
        assert not after.engine.state("bed").silent  # type: ignore[union-attr]
    for _ in range(200):
        now = after.receive(pushed[-1:], now, step=0.05)
    assert after.engine.state("bed").silent  # type: ignore[union-attr]


def test_a_strip_has_what_was_sent_again(patient: Floats, new_engine: NewEngine) -> None:
    """Whoever saw the alarm before the kill and after it sees the same ECG."""
    samples = patient.copy()
    samples[12_000:14_000] = 0.25
    limits = AlarmLimits(strip_s=10.0)
    strips = []
    for kill in (False, True):
        daemon = Daemon(new_engine(limits=limits)[0], round_s=12.0)
        now = daemon.receive(pieces(samples, 0, 11_880), 0.0)
        if kill:
            daemon = daemon.restarted(new_engine(limits=limits)[0], now)
            state = daemon.engine.state("bed")
            assert state is not None
            assert state.stream.following < 9585  # where the strip of the flat line begins
            now = daemon.receive(pieces(samples, state.stream.following, 11_880), now)
        now = daemon.receive(pieces(samples, 11_880, len(samples)), now)
        daemon.stop(now)
        strips.append([m.strip for m in daemon.journal if m.stream == "bed" and m.phase == "start"])
    assert strips[0] == strips[1]
    assert any(strips[0])
