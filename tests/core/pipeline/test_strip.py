"""The strip of ECG in an alert: what it shows, and that cutting the signal changes nothing."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.alarms.limits import AlarmLimits
from beatgan.errors import UsageError
from beatgan.pipeline import snapshot
from beatgan.pipeline.recent_ecg import RecentEcg
from beatgan.protocol.messages import AlertMessage, Delay, Message, RhythmStrip
from beatgan.types import Chunk, Doubles, Floats
from tests.support.chunks import make_chunk

FS = 360.0
STRIP_S = 4.0
LIMITS = AlarmLimits(anomalous_beats=2, among_beats=12, strip_s=STRIP_S)
NewEngine = Callable[..., Any]


def run(engine: Any, chunks: Iterable[Chunk]) -> list[Message]:
    messages: list[Message] = []
    for each in chunks:
        engine.receive(each, 0.0)
        messages += engine.poll(0.0).messages
    messages += engine.drain(0.0).messages
    return messages


def cut(samples: Floats, sizes: Iterable[int]) -> list[Chunk]:
    bounds = np.clip(np.cumsum([0, *sizes, len(samples)]), 0, len(samples)).tolist()
    pairs = pairwise(bounds)
    return [make_chunk(samples[a:b], a, leads=("V5", "II", "I")) for a, b in pairs if a < b]


def alerts(messages: Iterable[Message]) -> list[AlertMessage]:
    return [message for message in messages if isinstance(message, AlertMessage)]


def beginning(messages: Iterable[Message]) -> AlertMessage:
    begun = [m for m in alerts(messages) if (m.code, m.phase) == ("beat.anomalous", "start")]
    return begun[0]


def strip_in(message: AlertMessage) -> RhythmStrip:
    assert isinstance(message.strip, RhythmStrip)
    return message.strip


def millivolt(strip: RhythmStrip) -> Doubles:
    """As any reader of frames would: (n, leads), NaN where lost."""
    raw = np.frombuffer(strip.samples, strip.dtype).reshape(-1, len(strip.leads)).astype(float)
    return np.where(raw == -32768, np.nan, (raw - strip.offset) * strip.scale)


@pytest.fixture(scope="module")
def three(patient: Floats) -> Floats:
    """Three leads: V5 lies flat, II and I carry the patient's; a quarter of a second is lost."""
    leads = np.concatenate([0 * patient, patient, 0.5 * patient], axis=1)
    leads[3000:3090] = np.nan
    return leads


@pytest.fixture(scope="module")
def in_one_piece(three: Floats, new_engine: NewEngine) -> list[Message]:
    engine, _ = new_engine(limits=LIMITS)
    return run(engine, cut(three, []))


def test_it_shows_both_leads_up_to_the_moment_of_the_alarm(
    in_one_piece: list[Message], three: Floats
) -> None:
    alert = beginning(in_one_piece)
    strip = strip_in(alert)
    recognised = alert.onset_sample + round(alert.delay_ms.condition * FS / 1000)
    first = max(0, recognised - round(STRIP_S * FS))
    assert (strip.leads, strip.fs, strip.first) == (("II", "I"), FS, first)
    shown = millivolt(strip)
    np.testing.assert_allclose(shown, three[first:recognised, 1:], atol=0.0005001)


def test_only_the_beginning_of_a_patients_episode_has_one(in_one_piece: list[Message]) -> None:
    having = {(m.kind, m.phase) for m in alerts(in_one_piece) if m.strip is not msgspec.UNSET}
    assert having == {("physiological", "start")}
    assert len({m.phase for m in alerts(in_one_piece)}) > 1


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 3000), max_size=80), batch_size=st.integers(1, 40))
def test_cutting_and_batching_change_no_strip(
    sizes: list[int],
    batch_size: int,
    three: Floats,
    in_one_piece: list[Message],
    new_engine: NewEngine,
) -> None:
    engine, _ = new_engine(limits=LIMITS, batch_size=batch_size)
    found = [m.strip for m in alerts(run(engine, cut(three, sizes)))]
    assert found == [m.strip for m in alerts(in_one_piece)]


def test_lost_samples_and_those_before_the_beginning_of_a_stream(new_engine: NewEngine) -> None:
    recent = RecentEcg(2.0, FS, 1, first=100, start=100)
    recent.push(make_chunk(np.ones((50, 1), np.float32), 100), 0)
    recent.push(make_chunk(np.ones((50, 1), np.float32), 160), 0)
    first, strip = recent.cut(215)
    assert first == 100
    assert np.flatnonzero(np.isnan(strip[:, 0])).tolist() == [*range(50, 60), *range(110, 115)]


def test_a_jump_of_the_count_keeps_nothing_for_it() -> None:
    recent = RecentEcg(2.0, FS, 1, first=0, start=0)
    far = 2**50
    recent.push(make_chunk(np.ones((400, 1), np.float32), 0), 0)
    recent.push(make_chunk(np.full((5, 1), 2.0, np.float32), far), 0)
    assert sum(block.rows.size for block in recent._blocks) <= 2 * 2 * FS
    assert recent.cut(400)[1].tolist() == [[1.0]] * 400  # an event before it still waits
    assert np.nansum(recent.cut(far + 5)[1]) == 10.0


@pytest.mark.parametrize("size", [1, 72, 361, 730, 5000])
def test_memory_is_bounded(size: int) -> None:
    recent = RecentEcg(10.0, FS, 2, first=0, start=0)
    for n in range(0, 100_000, size):
        recent.push(make_chunk(np.ones((size, 2), np.float32), n), n)
        rows = sum(len(block.rows) for block in recent._blocks)
        assert rows <= 2 * 12 * FS + 2 * size


def test_a_constant_offset_of_an_electrode_fits(new_engine: NewEngine, patient: Floats) -> None:
    engine, _ = new_engine(limits=LIMITS)
    strip = strip_in(beginning(run(engine, [make_chunk(patient + np.float32(310), 0)])))
    assert strip.scale == 0.001
    assert abs(np.median(millivolt(strip)) - 310) < 1


def test_without_the_setting_nothing_is_kept(new_engine: NewEngine, patient: Floats) -> None:
    engine, _ = new_engine()
    messages = alerts(run(engine, [make_chunk(patient, 0)]))
    assert beginning(messages).strip is msgspec.UNSET
    assert engine._streams["bed"].segment.recent is None


def test_what_came_before_a_restart_counts_as_lost(new_engine: NewEngine, patient: Floats) -> None:
    whole, before = new_engine(limits=LIMITS)[0], new_engine(limits=LIMITS)[0]
    wanted = beginning(run(whole, [make_chunk(patient, 0)]))
    at = strip_in(wanted).first + 700
    run(before, [make_chunk(patient[:at], 0)])
    after, _ = new_engine(limits=LIMITS)
    after.restore(snapshot.decode(snapshot.encode(before.save("bed", checkpoint=True))), 0.0)
    found = beginning(run(after, [make_chunk(patient[at:], at)]))
    assert msgspec.structs.replace(
        found, strip=wanted.strip, n=wanted.n, raised_ns=wanted.raised_ns
    ) == msgspec.structs.replace(
        wanted, delay_ms=Delay(wanted.delay_ms.condition, found.delay_ms.signal)
    )
    expected = millivolt(strip_in(wanted))
    expected[:700] = np.nan
    np.testing.assert_array_equal(millivolt(strip_in(found)), expected)


def test_its_length_is_bounded() -> None:
    with pytest.raises(UsageError, match="strip_s must be 0 to 30"):
        AlarmLimits(strip_s=31.0)


def test_other_settings_hold_from_the_next_sample_on(
    new_engine: NewEngine, patient: Floats
) -> None:
    engine, _ = new_engine()
    stream = engine
    stream.receive(make_chunk(patient[:720], 0), 0.0)
    scorer, pace = engine._batcher.scorer, engine._settings
    engine.adjust(scorer, LIMITS, pace)
    strip = strip_in(beginning(run(engine, [make_chunk(patient[720:], 720)])))
    assert np.isnan(millivolt(strip)[: max(0, 720 - strip.first)]).all()
