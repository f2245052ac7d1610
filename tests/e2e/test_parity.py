"""What a network is trained on is what it is served: windows through both shells, bit for bit."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import astuple, replace

from beatgan.alarms.limits import AlarmLimits
from beatgan.pipeline.engine import Engine, EngineSettings
from beatgan.playback.chunks import cut
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frames import encode_frame
from beatgan.records import read_recording
from beatgan.spec import PreprocessSpec
from beatgan.types import Beat, Score
from beatgan_train.data.beat_set import load
from beatgan_train.training.coefficients import coefficients_of
from tests.support.scorers import SaysAllAtOnce

COEFFICIENTS = coefficients_of("full")

SPEC = PreprocessSpec()


def identity(beat: Beat) -> list[object]:
    """All that a score may depend on."""
    comparable = replace(beat, n=0, known_at=0, lead="", leads_agree=None)
    return [v.tobytes() if isinstance(v, np.ndarray) else v for v in astuple(comparable)]


class Checkpointer(SaysAllAtOnce):
    """A scorer that keeps the beats it is served."""

    threshold = 0.0

    def __init__(self) -> None:
        self.beats: list[Beat] = []

    def score(self, beats: Sequence[Beat]) -> list[Score]:
        self.beats += beats
        empty = np.empty(0, np.float32)
        return [Score(beat, None, self.threshold, empty, empty) for beat in beats]


def test_the_daemon_serves_what_training_learns_from(mitdb: Path) -> None:
    checkpointer = Checkpointer()
    engine = Engine(
        SPEC,
        COEFFICIENTS,
        checkpointer,
        AlarmLimits(),
        EngineSettings(batch_size=7, batch_age=0.0, silence=1e9, max_streams=1),
    )
    recording = read_recording(mitdb / "208")
    for i, chunk in enumerate(cut(recording, "208", (1, 1777, 97, 36), epoch=0, start_ns=0)):
        engine.receive(decode_frame(encode_frame(chunk)), float(i))
        engine.poll(float(i))
    engine.drain(1e9)

    trained = load(mitdb, ["208"], SPEC, COEFFICIENTS)
    assert len(checkpointer.beats) > 2900
    for row, served in enumerate(checkpointer.beats):
        learnt = trained.beat(row)
        assert identity(served) == identity(learnt)
