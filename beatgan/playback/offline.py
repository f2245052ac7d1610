"""Recordings through the very engine that the daemon runs, without a socket and a clock.

Bounded memory: one recording, one stream and one batch at a time.
"""

from collections.abc import Iterable, Iterator
from math import inf

from beatgan.alarms.limits import AlarmLimits
from beatgan.coefficients import AlarmCoefficients
from beatgan.model.revision import REVISE_WITHIN_S
from beatgan.model.scorer import Scorer
from beatgan.pipeline.engine import Engine, EngineSettings
from beatgan.pipeline.observer import Observer
from beatgan.pipeline.outgoing import Outgoing
from beatgan.playback.chunks import cut, stream_name
from beatgan.protocol.messages import AlertMessage, BeatMessage, StatusMessage
from beatgan.records import Recording
from beatgan.spec import PreprocessSpec

CHUNK_S = 1.0


def score_recordings(
    recordings: Iterable[Recording],
    spec: PreprocessSpec,
    coefficients: AlarmCoefficients,
    scorer: Scorer,
    limits: AlarmLimits,
    *,
    batch_size: int = 256,
    revise_within: float = REVISE_WITHIN_S,
    observer: Observer | None = None,
) -> Iterator[BeatMessage | AlertMessage]:
    """The beats and alerts of each recording, as the daemon would have published them.

    ``recordings`` may be lazy: each is let go before the next is asked for. A stream's name is its
    recording's, made distinct; its epoch and times start at ``start_ns`` (0, so 1970, where
    unknown). A beat is revised whose next one follows within ``revise_within`` seconds.
    Raises RecordError on a recording that no stream can carry.
    """
    engine = Engine(
        spec,
        coefficients,
        scorer,
        limits,
        EngineSettings(
            batch_size=batch_size,
            batch_age=inf,
            silence=inf,
            max_streams=1,
            revise_within=revise_within,
        ),
        observer=observer,
    )
    taken: set[str] = set()
    for recording in recordings:
        name = stream_name(recording, taken)
        sizes = [max(1, round(CHUNK_S * recording.fs))]
        start = recording.start_ns
        for chunk in cut(recording, name, sizes, epoch=start, start_ns=start):
            engine.receive(chunk, 0.0)
            yield from beats_and_alerts(engine.poll(0.0))
        engine.end(name, 0.0)
        yield from beats_and_alerts(engine.drain(0.0))


def beats_and_alerts(outgoing: Outgoing) -> Iterator[BeatMessage | AlertMessage]:
    """The messages without those about the stream itself."""
    return (m for m in outgoing.messages if not isinstance(m, StatusMessage))
