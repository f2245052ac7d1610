"""The daemon's life in three calls: start, serve, stop. The one place where all rooms meet.

One thread owns both sockets and the engine; HTTP has its own and only reads. All queues are
bounded: what overflows is a hole in the sample count, and holes are counted. Long before,
overload.py says that frames wait too long. Nothing here knows what a beat is.
"""

from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from time import monotonic

import zmq

from beatgan.errors import StreamError
from beatgan_daemon import log
from beatgan_daemon.engine import Engine
from beatgan_daemon.exits import Exit
from beatgan_daemon.http import Server
from beatgan_daemon.intake import Frame, Intake
from beatgan_daemon.loading import Loaded, load_model
from beatgan_daemon.messages import Message, StatusMessage
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.notify import Notifier
from beatgan_daemon.overload import Overload
from beatgan_daemon.progress import Progress
from beatgan_daemon.settings import Settings
from beatgan_daemon.shedding import Shedding
from beatgan_daemon.signals import stop_signals
from beatgan_daemon.sink import Sink
from beatgan_daemon.source import Source
from beatgan_daemon.wire import decode_frame, decode_topic

FRAMES_PER_TURN = 32  # then beats that are due are scored, even if more frames wait
TURN_S = 0.02  # likewise, where frames are so large that fewer take as long
LONGEST_WAIT_S = 0.2  # for a frame: how soon a signal to stop is seen
DRAIN_S = 2.0  # for frames that had arrived when the signal to stop came


def run(settings: Settings) -> Exit:
    """Serve until SIGTERM or SIGINT. Raises what keeps it from starting.

    A crash is logged with its traceback and ends in `Exit.CRASH`, for a supervisor to restart.
    """
    logger = log.get()
    with stop_signals() as stopping, ExitStack() as resources:
        notifier = Notifier()
        notifier.send("STATUS=loading and testing the model")
        loaded = load_model(settings.model.path, settings.model.device)
        service = Service(settings, loaded, resources, notifier)
        try:
            service.serve(stopping)
        except Exception:  # the one place: what nobody foresaw must reach the log
            logger.exception("crashed")
            return Exit.CRASH
    logger.info("stopped")
    return Exit.DONE


class Service:
    """A started daemon: the model has proved itself, every socket is bound, HTTP answers."""

    def __init__(
        self,
        settings: Settings,
        loaded: Loaded,
        resources: ExitStack,
        notifier: Notifier,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Start; what is opened is closed by ``resources``, last opened first closed.

        Raises StartError where an endpoint is not to be had.
        """
        self._clock, self._notifier, self._log = clock, notifier, log.get()
        self.metrics = Metrics(version("beatgan"), loaded.digest)
        self._engine = _engine(settings, loaded, self.metrics, clock)
        self.metrics.clock_drift = self._engine.clock_drift_ppm
        self._rejections = log.Rejections(self._log)
        self.source, self.sink = _sockets(settings, resources)
        self.progress = Progress(self.metrics, notifier, clock, settings.log.status_s)
        self._intake = Intake(self.source, settings.ingest.high_water, clock)
        limit = settings.overload.behind_ms / 1000
        self._overload = Overload(limit, settings.streams.max, clock())
        self._shedding = Shedding(
            self._overload, self._engine, self.metrics, self.progress, self._log
        )
        self.http = Server(
            settings.http.listen,
            self.metrics.exposition,
            alive=self.progress.stalled,
            ready=self.progress.unready,
        )
        resources.callback(self.http.close)
        self._announce(settings, loaded)

    def serve(self, stopping: Callable[[], bool]) -> None:
        """Take turns until ``stopping`` says so, then finish what had arrived."""
        while not stopping():
            began = self._clock()
            idle = self._turn(self._patience())
            now = self._clock()
            self._overload.turn(now - began - idle, idle, caught_up=len(self._intake) == 0)
            self._shedding.balance(now, self._intake)
        self.progress.trouble = "stopping"
        self._notifier.send("STOPPING=1", "STATUS=finishing what has arrived")
        self._log.info("stopping")
        self._finish()

    def _announce(self, settings: Settings, loaded: Loaded) -> None:
        """Say where everything is, to the log and to systemd."""
        for endpoint in exposed(settings):
            self._log.warning(
                "reachable from other machines, without encryption or authentication",
                endpoint=endpoint,
            )
        self._log.info(
            "ready",
            model=str(settings.model.path),
            digest=loaded.digest,
            device=loaded.device,
            ingest=[*self.source.bound, *settings.ingest.connect],
            publish=self.sink.bound,
            http=f"http://{self.http.address}",
            version=version("beatgan"),
        )
        self._notifier.send("READY=1", "STATUS=ready, no stream yet")

    def _patience(self) -> float:
        """Seconds to wait for a frame until the engine has something to do of its own."""
        deadline = self._engine.deadline()
        if deadline is None:
            return LONGEST_WAIT_S
        return min(max(deadline - self._clock(), 0.0), LONGEST_WAIT_S)

    def _turn(self, patience: float) -> float:
        """Take the frames that wait, at most a turn's fill, and publish what came of them.

        Seconds, up to ``patience``, in which there was nothing to be done.
        """
        idle = self._intake.pull(patience)
        end = self._clock() + TURN_S
        for _ in range(FRAMES_PER_TURN):
            if (frame := self._intake.take()) is None or self._take(frame) > end:
                break
        now = self._clock()
        self._publish(self._engine.poll(now, self._intake.heard()))
        self._rejections.flush(now)
        self.progress.turn(now)
        return idle

    def _take(self, frame: Frame) -> float:
        """Take in one frame; the time when that is done."""
        parts = frame.parts
        try:
            if not (self._shedding.active() and self._shedding.refuses(decode_topic(parts[0]))):
                self._engine.receive(decode_frame(parts), frame.came)
        except StreamError as error:  # the peer's fault: the daemon goes on
            self.metrics.rejected(error.reason)
            self._rejections.add(error.reason, f"{_sender(parts)}: {error}", frame.came)
        return self._clock()

    def _publish(self, messages: list[Message]) -> None:
        for message in messages:
            self.sink.send(message)
            if isinstance(message, StatusMessage):
                self._log.debug(message.text, stream=message.stream, state=message.state)

    def _finish(self) -> None:
        """Take what was queued before the end, for a bounded time, and score what waits."""
        end = self._clock() + DRAIN_S
        while not self._intake.empty() and self._clock() < end:
            self._turn(0.0)
        self._publish(self._engine.drain(self._clock()))
        self.progress.report(self._clock())


def _engine(
    settings: Settings, loaded: Loaded, metrics: Metrics, clock: Callable[[], float]
) -> Engine:
    return Engine(
        loaded.spec,
        loaded.scorer,
        settings.alarms,
        batch_size=settings.batch.size,
        batch_age=settings.batch.age_ms / 1000,
        silence=settings.streams.silence_s,
        max_streams=settings.streams.max,
        reorder=settings.streams.reorder_ms / 1000,
        observer=metrics,
        clock=clock,
    )


def _sockets(settings: Settings, resources: ExitStack) -> tuple[Source, Sink]:
    """Both sockets, bound; on leaving ``resources`` subscribers may take what is queued."""
    context = resources.enter_context(zmq.Context[zmq.Socket[bytes]]())
    sink = Sink(context, settings.publish.bind, high_water=settings.publish.high_water)
    resources.enter_context(sink)
    source = Source(
        context,
        settings.ingest.bind,
        settings.ingest.connect,
        high_water=settings.ingest.high_water,
        max_part=settings.ingest.max_message,
    )
    return resources.enter_context(source), sink


def exposed(settings: Settings) -> list[str]:
    """The endpoints on which machines other than this one could call."""
    bound = [*settings.ingest.bind, settings.publish.bind, f"http://{settings.http.listen}"]
    return [endpoint for endpoint in bound if not _is_local(endpoint)]


def _is_local(endpoint: str) -> bool:
    scheme, _, rest = endpoint.partition("://")
    host = rest.rpartition(":")[0].strip("[]")
    return scheme == "ipc" or host in ("localhost", "::1", "lo") or host.startswith("127.")


def _sender(parts: list[bytes]) -> str:
    """Whose frame it was, as far as its topic can be trusted to say."""
    return parts[0][:80].decode("ascii", "backslashreplace") if parts else ""
