"""The daemon's life in three calls: start, serve, stop. The one place where all rooms meet.

One thread owns both sockets and the engine; HTTP has its own and only reads. The queues are
ZeroMQ's, bounded by their high-water marks: what overflows there is a hole in the sample count,
and holes are counted. Nothing here knows what a beat is.
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
from beatgan_daemon.loading import Loaded, load_model
from beatgan_daemon.messages import Message, StatusMessage
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.notify import Notifier
from beatgan_daemon.progress import Progress
from beatgan_daemon.settings import Settings
from beatgan_daemon.signals import stop_signals
from beatgan_daemon.sink import Sink
from beatgan_daemon.source import Source
from beatgan_daemon.wire import decode_frame

FRAMES_PER_TURN = 32  # then beats that are due are scored, even if more frames wait
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
        self._rejections = log.Rejections(self._log)
        self.source, self.sink = _sockets(settings, resources)
        self.progress = Progress(self.metrics, notifier, clock, settings.log.status_s)
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
            self._turn(self._patience())
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

    def _turn(self, patience: float) -> bool:
        """Take the frames that are there, at most FRAMES_PER_TURN, and publish what came of them.

        False if no frame was there within ``patience`` seconds.
        """
        arrived = self.source.wait(patience)
        caught_up = not arrived
        for _ in range(FRAMES_PER_TURN if arrived else 0):
            if (parts := self.source.receive()) is None:
                caught_up = True
                break
            self._take(parts)
        now = self._clock()
        self._publish(self._engine.poll(now, caught_up))
        self._rejections.flush(now)
        self.progress.turn(now)
        return arrived

    def _take(self, parts: list[bytes]) -> None:
        now = self._clock()
        try:
            self._engine.receive(decode_frame(parts), now)
        except StreamError as error:  # the peer's fault: the daemon goes on
            self.metrics.rejected(error.reason)
            self._rejections.add(error.reason, f"{_sender(parts)}: {error}", now)

    def _publish(self, messages: list[Message]) -> None:
        for message in messages:
            self.sink.send(message)
            if isinstance(message, StatusMessage):
                self._log.debug(message.text, stream=message.stream, state=message.state)

    def _finish(self) -> None:
        """Take what was queued before the end, for a bounded time, and score what waits."""
        end = self._clock() + DRAIN_S
        while self._turn(0.0) and self._clock() < end:
            pass
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
