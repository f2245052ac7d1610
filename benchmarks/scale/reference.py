"""What one engine says of the very frames that the sources send, offline: the truth of a run."""

from pathlib import Path

from beatgan.alarms.limits import AlarmLimits
from beatgan.model.revision import REVISE_WITHIN_S
from beatgan.pipeline.engine import Engine, EngineSettings
from beatgan.protocol.buckets import plain_topic
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.messages import Message
from beatgan_daemon.model_loading import load_model
from benchmarks.performance.load.generator import Senders
from benchmarks.performance.load.schedule import Samples, Schedule

FOREVER = 1e9


def offline(
    plan: Schedule, recordings: list[Samples], epoch: int, model: Path, *, everything: bool = False
) -> list[Message]:
    """All messages of all streams, as one daemon would have published them.

    ``everything``: of the frames left out on the way, too.
    """
    loaded = load_model(model, "cpu")
    settings = EngineSettings(
        batch_size=256,
        batch_age=FOREVER,
        silence=FOREVER,
        max_streams=plan.streams,
        revise_within=REVISE_WITHIN_S,
    )
    engine = Engine(loaded.spec, loaded.coefficients, loaded.scorer, AlarmLimits(), settings)
    senders, found = Senders(plan, recordings, epoch), list[Message]()
    sends = plan.sends()
    for stream in range(plan.streams):
        for interval in range(plan.starts[stream], plan.stops[stream]):
            if everything or sends[interval, stream]:
                topic, *rest = senders.frame(stream, interval)
                engine.receive(decode_frame([plain_topic(topic), *rest]), 0.0)
                found += engine.poll(0.0).messages
    return found + engine.drain(0.0).messages
