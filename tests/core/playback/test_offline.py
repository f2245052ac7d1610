"""Recordings through the engine: the same messages as live, one recording at a time."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatgan.alarms.limits import AlarmLimits
from beatgan.errors import RecordError
from beatgan.model.scorer import Scorer
from beatgan.pipeline.engine import Engine
from beatgan.playback.chunks import cut, stream_name
from beatgan.playback.offline import score_recordings
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frames import encode_frame
from beatgan.protocol.messages import AlertMessage, BeatMessage, Message, StatusMessage
from beatgan.records import Recording, read_recording
from beatgan.spec import PreprocessSpec
from beatgan.types import Floats
from beatgan_train.training.coefficients import coefficients_of

COEFFICIENTS = coefficients_of("full")

START_NS = 1_700_000_000_000_000_000
SPEC, LIMITS = PreprocessSpec(), AlarmLimits(anomalous_beats=2, among_beats=12)

NewScorer = Callable[[], Scorer]
NewEngine = Callable[..., tuple[Engine, Any]]


def recording(samples: Floats, name: str = "p1", **fields: Any) -> Recording:
    leads = tuple(f"lead {i}" for i in range(samples.shape[1]))
    values: dict[str, Any] = {"fs": 360.0, "leads": leads, "start_ns": START_NS}
    return Recording(name=name, samples=samples, **(values | fields))


def score(recordings: list[Recording], scorer: Scorer) -> list[BeatMessage | AlertMessage]:
    return list(score_recordings(recordings, SPEC, COEFFICIENTS, scorer, LIMITS))


def beats(messages: list[Any]) -> list[BeatMessage]:
    return [message for message in messages if isinstance(message, BeatMessage)]


def test_live_through_the_wire_equals_offline(
    patient: Floats, new_scorer: NewScorer, new_engine: NewEngine
) -> None:
    """Odd frames, encoded and decoded; the live daemon is then stopped, not told of an end."""
    engine, _ = new_engine(batch_size=3)
    live: list[Message] = []
    source = recording(patient)
    for i, chunk in enumerate(cut(source, "p1", (1, 700, 33), epoch=START_NS, start_ns=START_NS)):
        engine.receive(decode_frame(encode_frame(chunk)), float(i))
        live += engine.poll(float(i)).messages
    live += engine.drain(1e6).messages
    assert beats(live) == beats(score([source], new_scorer()))
    assert len(beats(live)) > 60


def test_live_equals_offline_on_a_real_patient(
    mitdb: Path, new_scorer: NewScorer, new_engine: NewEngine
) -> None:
    """Record 208, five minutes, two leads, in frames of odd sizes."""
    record = read_recording(mitdb / "208")
    source = Recording("208", record.fs, record.leads, record.samples[: 300 * 360])
    engine, _ = new_engine(batch_size=5)
    live: list[Message] = []
    for i, chunk in enumerate(cut(source, "208", (1, 1777, 97), epoch=0, start_ns=0)):
        engine.receive(decode_frame(encode_frame(chunk)), float(i))
        live += engine.poll(float(i)).messages
    offline = beats(score([source], new_scorer()))
    assert beats(live + engine.drain(1e6).messages) == offline
    assert len(offline) > 450
    assert sum(beat.score is not None for beat in offline) > 440


def test_only_beats_and_alerts_come_out(patient: Floats, new_scorer: NewScorer) -> None:
    messages = score([recording(patient)], new_scorer())
    assert {message.type for message in messages} == {"beat", "alert"}
    assert not any(isinstance(message, StatusMessage) for message in messages)
    assert {message.stream for message in messages} == {"p1"}
    assert {message.epoch for message in messages} == {START_NS}


def test_episodes_end_with_the_recording_and_alerts_count_on(
    patient: Floats, new_scorer: NewScorer
) -> None:
    spoilt = patient.copy()
    spoilt[-3600:] = np.nan
    messages = score([recording(spoilt, "a"), recording(spoilt, "b")], new_scorer())
    alerts = [message for message in messages if isinstance(message, AlertMessage)]
    assert [alert.n for alert in alerts] == list(range(len(alerts)))
    last = {alert.id: alert for alert in alerts}
    assert {alert.phase for alert in last.values()} == {"end"}
    gaps = [alert for alert in last.values() if alert.code == "signal.gap"]
    assert [alert.end_sample for alert in gaps] == [len(patient)] * 2


def test_a_recording_does_not_depend_on_those_before(
    patient: Floats, new_scorer: NewScorer
) -> None:
    alone = beats(score([recording(patient, "b")], new_scorer()))
    after = beats(score([recording(-patient, "a"), recording(patient, "b")], new_scorer()))
    assert [beat for beat in after if beat.stream == "b"] == alone


def test_recordings_are_asked_for_one_by_one(patient: Floats, new_scorer: NewScorer) -> None:
    asked: list[str] = []

    def lazily() -> Iterator[Recording]:
        for name in ("a", "b"):
            asked.append(name)
            yield recording(patient, name)

    for message in score_recordings(lazily(), SPEC, COEFFICIENTS, new_scorer(), LIMITS):
        assert message.stream == asked[-1]
    assert asked == ["a", "b"]


def test_names_become_streams_and_stay_distinct(patient: Floats) -> None:
    taken: set[str] = set()
    names = ["208", "208", "my file (1)", "x" * 99, "", "208:2", "208"]
    streams = [stream_name(recording(patient[:1], name), taken) for name in names]
    assert streams == ["208", "208:2", "my_file__1_", "x" * 56, "_", "208:2:2", "208:3"]
    assert taken == set(streams)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"fs": 20.0}, "p1: sampled at 20 Hz; a stream has 50 to 2000 Hz"),
        ({"leads": tuple("abcdefghijklmnopq")}, "p1: a stream has 1-16 leads, got 17"),
        ({"leads": ("a\nb",)}, "printable"),
        ({"samples": np.empty((0, 1), np.float32)}, "p1: has no samples"),
    ],
)
def test_what_no_stream_can_carry_is_refused_by_name(
    fault: dict[str, Any], text: str, patient: Floats, new_scorer: NewScorer
) -> None:
    values: dict[str, Any] = {"samples": patient, "name": "p1"}
    with pytest.raises(RecordError, match=text.replace("(", r"\(")):
        score([recording(**(values | fault))], new_scorer())


@pytest.mark.parametrize("sizes", [(1,), (7, 3600), (360,), (65_536,)])
def test_chunks_hold_the_whole_recording_once(sizes: tuple[int, ...], patient: Floats) -> None:
    source = recording(patient[:4000])
    chunks = list(cut(source, "p1", sizes, epoch=3, start_ns=START_NS))
    np.testing.assert_array_equal(np.concatenate([c.samples for c in chunks]), source.samples)
    assert [chunk.seq for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert chunk.t_ns == START_NS + round(chunk.first * 1e9 / 360)
    assert sum(len(c.samples) for c in chunks) == chunks[-1].first + len(chunks[-1].samples)


def test_a_loop_goes_on_counting(patient: Floats) -> None:
    source = recording(patient[:1000])
    endless = cut(source, "p1", (300,), epoch=3, start_ns=0, loop=True)
    chunks = [next(endless) for _ in range(10)]
    assert [chunk.first for chunk in chunks] == list(range(0, 3000, 300))
    np.testing.assert_array_equal(
        np.concatenate([chunk.samples for chunk in chunks]), np.tile(source.samples, (3, 1))
    )
