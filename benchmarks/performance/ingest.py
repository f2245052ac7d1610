"""What a frame costs on its way from ZeroMQ's socket to the front end, step by step.

    python -m benchmarks.performance.ingest
    python -m benchmarks.performance.ingest --streams 10000 --samples 36 --leads 2
Each step alone, in one thread, on frames that are there already; CPU us a frame, the least of some
runs:
  receive   parts from ZeroMQ, sent by another process over TCP
  queue     into the frame queue and out again, and its time charged
  work      reading the work clock
  decode    parts to a Chunk
  engine    taking the Chunk in, the front end included
  front end of that: finding beats
"""

import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, sleep, thread_time
from typing import Annotated

import typer
import zmq

from beatgan.alarms.limits import AlarmLimits
from beatgan.frontend import Frontend
from beatgan.model.loading import Loaded
from beatgan.pipeline.engine import Engine, EngineSettings
from beatgan.protocol.frame_decoder import decode_frame
from beatgan_daemon.ingest.frame_queue import FrameQueue
from beatgan_daemon.ingest.work_clock import WorkClock
from beatgan_daemon.model_loading import load_model
from beatgan_daemon.sockets.ingest_socket import IngestSocket
from benchmarks.performance.load import schedule
from benchmarks.performance.load.__main__ import FS, recordings
from benchmarks.performance.load.generator import Senders, sockets

Parts = list[bytes]
EPOCH = 1_700_000_000_000_000_000
FRAMES = 20_000  # that are timed, at least
ARRIVED_S = 0.3  # for what was sent to be read by ZeroMQ's thread
COST_S = 5e-5  # that each frame is charged with
STEPS = ("receive", "queue", "work", "decode", "engine", "front end")


def plan_of(streams: int, samples: int, leads: int) -> schedule.Schedule:
    """Each of ``streams`` sends frames of so many samples, one after the other."""
    intervals = 1 + -(-FRAMES // streams)  # the first one begins the streams
    names = schedule.lead_names(leads)
    return schedule.Schedule(samples, FS, names, 1, [0] * streams, [intervals] * streams)


def frames_of(plan: schedule.Schedule) -> list[Parts]:
    """All frames, interval by interval."""
    senders = Senders(plan, recordings(None, len(plan.leads)), EPOCH)
    every = ((s, k) for k in range(plan.intervals) for s in range(plan.streams))
    return [list(senders.frame(*each)) for each in every]


def send(endpoint: str, plan: schedule.Schedule) -> None:
    """In a process of its own: all frames, until they have left."""
    with zmq.Context() as context:
        (socket,) = sockets(plan, endpoint, context)
        socket.setsockopt(zmq.SNDHWM, 0)
        for parts in frames_of(plan):
            socket.send_multipart(parts)
        socket.close(linger=60_000)


def a_frame(step: Callable[[], None], frames: int) -> float:
    """CPU us of this thread."""
    began = thread_time()
    step()
    return 1e6 * (thread_time() - began) / frames


def receive(plan: schedule.Schedule) -> float:
    """Frames that wait in ZeroMQ's queue."""
    frames = plan.streams * plan.intervals
    with (
        zmq.Context() as context,
        IngestSocket(
            context,
            ["tcp://127.0.0.1:*"],
            high_water=2 * frames,
            max_part=2**20,
            queue_bytes=2**21 * frames,
        ) as source,
    ):
        words = [source.endpoint, *map(str, (plan.streams, plan.frame, len(plan.leads)))]
        module = "benchmarks.performance.ingest"
        with subprocess.Popen([sys.executable, "-m", module, "send", *words]):
            source.wait(60.0)
        sleep(ARRIVED_S)

        def step() -> None:
            for _ in range(frames):
                if source.receive() is None:
                    raise RuntimeError("not all frames have arrived")

        return a_frame(step, frames)


class Held:
    """Frames that are here already, as a source of the queue."""

    connection: str | int | None = 1

    def __init__(self, frames: Sequence[Parts]) -> None:
        self._frames = deque(frames)

    def receive(self) -> Parts | None:
        """The next one."""
        return self._frames.popleft() if self._frames else None

    def wait(self, seconds: float | None) -> bool:  # noqa: ARG002
        """Whether there is one."""
        return bool(self._frames)


def queue(frames: Sequence[Parts]) -> float:
    """All frames through the queue."""
    waiting = FrameQueue(Held(frames), 100_000, monotonic)

    def step() -> None:
        while waiting.pull(0.0) == 0.0 and len(waiting):
            while waiting.take() is not None:
                waiting.charge(COST_S, monotonic())

    return a_frame(step, len(frames))


def work(frames: Sequence[Parts]) -> float:
    """The clock, once for each frame."""
    with WorkClock() as clock:

        def step() -> None:
            for _ in frames:
                clock()

        return a_frame(step, len(frames))


def decode(frames: Sequence[Parts]) -> float:
    """Bytes to chunks."""

    def step() -> None:
        for parts in frames:
            decode_frame(parts)

    return a_frame(step, len(frames))


def engine(frames: Sequence[Parts], begun: int, loaded: Loaded) -> tuple[float, float]:
    """Chunks into an engine that knows their streams; and into front ends alone.

    The first ``begun`` frames begin the streams. What is found is not scored.
    """
    chunks = [decode_frame(parts) for parts in frames]
    settings = EngineSettings(batch_size=2**31, batch_age=1e9, silence=1e9, max_streams=begun)
    pipeline = Engine(loaded.spec, loaded.coefficients, loaded.scorer, AlarmLimits(), settings)
    finders = {
        each.stream: Frontend(loaded.spec, loaded.coefficients, each.fs, each.leads, each.first)
        for each in chunks[:begun]
    }

    def take(some: Sequence[int]) -> None:
        for k in some:
            pipeline.receive(chunks[k], k * 1e-4)

    def find(some: Sequence[int]) -> None:
        for k in some:
            finders[chunks[k].stream].push(chunks[k].samples)

    def cost(step: Callable[[Sequence[int]], None]) -> float:
        step(range(begun))
        rest = range(begun, len(chunks))
        return a_frame(lambda: step(rest), len(rest))

    return cost(take), cost(find)


def measure(plan: schedule.Schedule, loaded: Loaded) -> tuple[float, ...]:
    """Every step of one kind of frames."""
    frames = frames_of(plan)
    return (
        receive(plan),
        queue(frames),
        work(frames),
        decode(frames),
        *engine(frames, plan.streams, loaded),
    )


def main(
    model: Annotated[Path, typer.Option()] = Path("models/student.pt"),
    streams: Annotated[list[int], typer.Option()] = [100, 10_000],  # noqa: B006
    samples: Annotated[list[int], typer.Option(help="Of a frame.")] = [36, 360],  # noqa: B006
    leads: Annotated[list[int], typer.Option()] = [1, 2],  # noqa: B006
    repeats: Annotated[int, typer.Option(help="Runs of each; the least counts.")] = 3,
) -> None:
    """Print a line for each kind of frames."""
    loaded = load_model(model, "cpu")
    typer.echo("streams samples leads " + "".join(f"{each:>10}" for each in STEPS))
    for count in streams:
        for size in samples:
            for lead in leads:
                plan = plan_of(count, size, lead)
                runs = [measure(plan, loaded) for _ in range(repeats)]
                least = "".join(f"{min(each):10.2f}" for each in zip(*runs, strict=True))
                typer.echo(f"{count:7} {size:7} {lead:5} {least}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["send"]:
        send(sys.argv[2], plan_of(*map(int, sys.argv[3:6])))
    else:
        typer.run(main)
