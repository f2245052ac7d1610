"""What the messages of beats cost the daemon, from scores to its socket, by who is subscribed.

Beats of the bundled sample and their revisions, built and handed to a publisher batch by batch; a
process of its own subscribes. The daemon's processor time, ZeroMQ's included.
    python -m benchmarks.performance.messages --batch 64
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import Annotated, Any
from unittest.mock import patch

import typer
import zmq

from beatgan.alarms.limits import AlarmLimits
from beatgan.pipeline import batcher
from beatgan.pipeline.message_builder import beat_message
from beatgan.pipeline.outgoing import Outgoing
from beatgan.playback.offline import score_recordings
from beatgan.protocol.messages import BeatMessage
from beatgan.protocol.names import BEAT_BATCH, BEATS
from beatgan.protocol.subscriptions import BeatSubscriptions, WantedBeats
from beatgan.records import SAMPLE, read_recording
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.model_loading import load_model
from beatgan_daemon.publishing.publisher import Publisher, Retention
from beatgan_daemon.sockets.control_socket import ControlSocket
from beatgan_daemon.sockets.publish_socket import PublishSocket
from beatgan_daemon.storage.journal import Journal

ANY = "tcp://127.0.0.1:*"
ROUNDS = 5  # the fastest counts
BEATS_A_ROUND = 20_000
Build = Callable[[], BeatMessage]
TOPICS = {"nobody is subscribed": b"alert.", "one by one": BEATS, "in batches": BEAT_BATCH}


class Told(Metrics):
    """The daemon's metrics; and the moment when a batch has been sent."""

    def __init__(self) -> None:
        super().__init__("", "")
        self.sent = Event()

    def latencies(self, arrivals: Sequence[float], sent: float) -> None:
        """A batch was sent."""
        super().latencies(arrivals, sent)
        self.sent.set()


def builds_of_the_sample(model: Path) -> tuple[list[Build], float]:
    """How each message of the sample's beats is built; and how many there are a second."""
    loaded, recording = load_model(model, "cpu"), read_recording(SAMPLE)
    builds: list[Build] = []

    def recorded(*args: Any, **options: Any) -> BeatMessage:
        builds.append(partial(beat_message, *args, **options))
        return beat_message(*args, **options)

    with patch.object(batcher, "beat_message", recorded):
        parts = loaded.spec, loaded.coefficients, loaded.scorer, AlarmLimits()
        for _ in score_recordings([recording], *parts):
            pass
    return builds, len(builds) * recording.fs / len(recording.samples)


def subscribe(endpoint: str, topic: bytes) -> None:
    """Take messages until killed."""
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.rcvhwm = 0
        socket.subscribe(topic)
        socket.connect(endpoint)
        while True:
            socket.recv_multipart()


@contextmanager
def publishing(topic: bytes) -> Iterator[tuple[Publisher, Told, WantedBeats]]:
    """A publisher with one subscriber; who is told of a batch's end; and what is wanted."""
    with ExitStack() as resources:
        context = resources.enter_context(zmq.Context())
        subscriptions, told = BeatSubscriptions(), Told()
        sink = PublishSocket(context, ANY, subscriptions=subscriptions)
        control = ControlSocket(context, ANY, actions=None, requested=told.requested)  # type: ignore[arg-type]
        endpoint, journal = sink.endpoint, Journal(None, print)
        publisher = Publisher(sink, control, journal, None, told, Retention())
        resources.callback(publisher.close, 5.0)
        spawned = multiprocessing.get_context("spawn")
        process = spawned.Process(target=subscribe, args=(endpoint, topic), daemon=True)
        process.start()
        resources.callback(process.kill)
        while not subscriptions.bytes:
            time.sleep(0.1)
        yield publisher, told, subscriptions.wanted


def cost(builds: Sequence[Build], topic: bytes, batch: int) -> float:
    """Processor time of a message, in us, if ``batch`` are handed over together."""
    batches = max(1, BEATS_A_ROUND // batch)
    with publishing(topic) as (publisher, told, wanted):
        made = wanted.of_stream("any")
        fastest = float("inf")
        for _ in range(ROUNDS):
            began = time.process_time()
            for number in range(batches):
                start = number * batch % (len(builds) - batch)
                some = builds[start : start + batch]
                messages = [build() for build in some] if made else []
                told.sent.clear()
                publisher.put(Outgoing([*messages], [time.monotonic()] * batch))
                told.sent.wait()
            fastest = min(fastest, time.process_time() - began)
    return 1e6 * fastest / (batches * batch)


def main(
    model: Annotated[Path, typer.Option()] = Path("models/student.pt"),
    batch: Annotated[int, typer.Option(help="messages handed over together")] = 64,
) -> None:
    """Print microseconds a message, and a second of a stream as the sample is one."""
    builds, rate = builds_of_the_sample(model)
    typer.echo(f"{rate:.2f} messages a second and stream, {batch} at a time; us")
    typer.echo(f"{'':24}{'a message':>12}{'a stream-second':>18}")
    for name, topic in TOPICS.items():
        each = cost(builds, topic, batch)
        typer.echo(f"{name:24}{each:12.2f}{rate * each:18.1f}")


if __name__ == "__main__":
    typer.run(main)
