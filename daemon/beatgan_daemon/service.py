"""The daemon's life in three calls: start, serve, stop. The one place where all rooms meet.

The pipeline, this thread, owns the socket for ECG and the engine; the publisher journals and sends.
HTTP, the authenticator and the watchdog have threads of their own. All queues are bounded: what
overflows is counted. Nothing here knows what a beat is.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from queue import Empty, SimpleQueue
from time import monotonic, time_ns

from beatgan.errors import StreamError
from beatgan.protocol.frames import decode_frame, decode_topic
from beatgan.protocol.messages import AlertMessage, StatusMessage
from beatgan_daemon import log
from beatgan_daemon.exit_codes import Exit
from beatgan_daemon.http_server import HttpServer
from beatgan_daemon.ingest.frame_queue import Frame, FrameQueue
from beatgan_daemon.ingest.load_shedding import LoadShedder
from beatgan_daemon.ingest.overload import OverloadPolicy
from beatgan_daemon.liveness import Liveness, Watchdog
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.model_loading import Loaded, load_model
from beatgan_daemon.pipeline.batcher import Outgoing, messages_of
from beatgan_daemon.pipeline.checkpointing import Checkpointer, PendingWrites
from beatgan_daemon.pipeline.message_builder import journal_alert
from beatgan_daemon.reload import Prepared, Reload
from beatgan_daemon.security.allow_list import Role
from beatgan_daemon.settings import Settings
from beatgan_daemon.signals import reload_signal, stop_signals
from beatgan_daemon.systemd import Notifier
from beatgan_daemon.wiring import (
    engine_settings,
    make_engine,
    open_persistence,
    open_sockets,
    retention,
    start_publisher,
)
from beatgan_daemon.zmq_endpoints import is_local

NOTHING = PendingWrites({}, [])
FRAMES_PER_ITERATION = 32  # then beats that are due are scored, even if more frames wait
ITERATION_S = 0.02  # likewise, where frames are so large that fewer take as long
LONGEST_WAIT_S = 0.2  # for a frame: how soon a signal is seen
# A signal to stop is obeyed within 5 s, with wiring.LINGER_S and reload.JOIN_S.
DRAIN_S = 1.5  # for frames that had arrived by then
FLUSH_S = 1.5  # for the publisher to journal and send everything ...
GIVE_UP_S = 0.1  # ... and once more, should it not have been asked or not have ended


def run(settings: Settings, read: Callable[[], Settings]) -> Exit:
    """Serve until SIGTERM or SIGINT; on SIGHUP ``read`` the settings anew.

    Raises what keeps it from starting. A crash is logged with its traceback and ends in
    `Exit.CRASH`, for a supervisor to restart.
    """
    logger = log.get()
    with stop_signals() as stopping, reload_signal() as reloading, ExitStack() as resources:
        notifier = Notifier()
        with notifier.warming_up("loading and testing the model"):
            loaded = load_model(settings.model.path, settings.model.device)
            service = Service(settings, loaded, resources, notifier, read)
        service.announce()
        try:
            service.serve(stopping, reloading)
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
        read: Callable[[], Settings],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Start; what is opened is closed by ``resources``, last opened first closed.

        Raises StartError where an endpoint, the state directory or a key is not to be had.
        """
        self._settings, self._loaded, self._resources = settings, loaded, resources
        self._clock, self._notifier, self._log = clock, notifier, log.get()
        self.metrics = Metrics(version("beatgan"), loaded.digest)
        self._engine = make_engine(settings, loaded, self.metrics, clock)
        self._rejections = log.Rejections(self._log)
        self._acknowledged: SimpleQueue[str] = SimpleQueue()  # ids, from the control socket
        persistence = open_persistence(settings.state.dir)
        resources.callback(persistence.close)
        self.sockets = open_sockets(settings, resources, self.metrics, self._acknowledged.put)
        over = persistence.restore(self._engine, clock())
        self._publisher = start_publisher(settings, self.sockets, persistence, self.metrics)
        resources.callback(self._publisher.close, GIVE_UP_S)
        self._checkpointer = None
        if settings.state.dir is not None:
            self._checkpointer = Checkpointer(self._engine, settings.state.checkpoint_s, clock())
        self._journal_alert: AlertMessage | None = None
        self._publish([Outgoing(each) for each in over])
        self.liveness = Liveness(self.metrics, notifier, clock, settings.log.status_s)
        self.liveness.watch("publisher", self._publisher.moved)
        if self.sockets.authenticator is not None:
            self.liveness.watch("authenticator", self.sockets.authenticator.moved)
        self._queue = FrameQueue(self.sockets.source, settings.ingest.high_water, clock)
        self._overload = OverloadPolicy(*_limits(settings), clock())
        self._shedding = LoadShedder(
            self._overload,
            self._engine,
            self.metrics,
            self.liveness,
            self._log,
            settings.ingest.frames_per_s,
        )
        self._reload = Reload(settings, loaded, read, self._apply, self.metrics, notifier)
        self.http = HttpServer(
            settings.http.listen,
            self.metrics.exposition,
            alive=self.liveness.stalled,
            ready=self.liveness.unready,
        )
        resources.callback(self.http.close)

    def announce(self) -> None:
        """Say where everything is, to the log and to systemd, and from now on that it moves."""
        settings, sockets = self._settings, self.sockets
        if not is_local(f"tcp://{settings.http.listen}"):
            why = "metrics and health are not encrypted and anybody may read them"
            self._log.warning("HTTP is open to other machines", why=why)
        self._log.info(
            "ready",
            model=str(settings.model.path),
            digest=self._loaded.digest,
            device=self._loaded.device,
            ingest=[*self.sockets.source.endpoints, *settings.ingest.connect],
            publish=sockets.sink.endpoint,
            control=sockets.control.endpoint,
            http=f"http://{self.http.address}",
            encrypted=sockets.authenticator is not None,
            state="in memory" if settings.state.dir is None else str(settings.state.dir),
            restored=len(self._engine.streams()),
            version=version("beatgan"),
        )
        self._notifier.send("READY=1", "STATUS=ready, no stream yet")
        self._resources.enter_context(Watchdog(self.liveness, self._notifier))

    def serve(
        self, stopping: Callable[[], bool], reloading: Callable[[], bool] = lambda: False
    ) -> None:
        """Iterate until ``stopping`` says so, then finish what had arrived."""
        while not stopping():
            began = self._clock()
            idle = self._iterate(self._longest_wait())
            now = self._clock()
            self._overload.record_iteration(
                now - began - idle, idle, caught_up=len(self._queue) == 0
            )
            self._shedding.balance(now, self._queue)
            self._update_alarms()
            self._reload.poll(reloading())
        self.liveness.stopping = True
        self._notifier.send("STOPPING=1", "STATUS=finishing what has arrived")
        self._log.info("stopping")
        self._finish()

    def _longest_wait(self) -> float:
        """Seconds to wait for a frame until the engine has something to do of its own."""
        deadline = self._engine.deadline()
        if deadline is None:
            return LONGEST_WAIT_S
        return min(max(deadline - self._clock(), 0.0), LONGEST_WAIT_S)

    def _iterate(self, wait: float) -> float:
        """Take the frames that wait, up to a bound, and publish what came of them.

        Seconds, up to ``wait``, in which there was nothing to be done.
        """
        idle = self._queue.pull(wait)
        end = self._clock() + ITERATION_S
        for _ in range(FRAMES_PER_ITERATION):
            if (frame := self._queue.take()) is None or self._take(frame) > end:
                break
        now = self._clock()
        self._publish(self._engine.poll(now, self._queue.received_until()))
        self._rejections.flush(now)
        self.liveness.iterated(now)
        return idle

    def _take(self, frame: Frame) -> float:
        """Take in one frame; the time when that is done."""
        parts = frame.parts
        try:
            if not (self._shedding.active() and self._shedding.refuses(decode_topic(parts[0]))):
                self._engine.receive(decode_frame(parts), frame.arrived)
        except StreamError as error:  # the peer's fault: the daemon goes on
            self.metrics.rejected(error.reason)
            self._rejections.add(error.reason, f"{_sender(parts)}: {error}", frame.arrived)
        return self._clock()

    def _publish(self, outgoing: Sequence[Outgoing]) -> None:
        """Hand over messages, and what is to be written of the streams after them."""
        messages = messages_of(outgoing)
        writes = NOTHING
        if self._checkpointer is not None:
            writes = self._checkpointer.pending_writes(messages, self._clock())
        self._publisher.put(outgoing, writes.alarms, writes.checkpoints)
        for message in messages:
            if isinstance(message, StatusMessage):
                self._log.debug(message.text, stream=message.stream, state=message.state)

    def _update_alarms(self) -> None:
        """Alarms that do not come from ECG: acknowledgements, and that of the journal."""
        active_alarms = self._engine.active_alarms
        alerts: list[AlertMessage] = []
        while True:
            try:
                alerts += active_alarms.acknowledge(self._acknowledged.get_nowait())
            except Empty:
                break
        trouble = self._publisher.trouble
        if (trouble is None) != (self._journal_alert is None):
            alert = journal_alert(self._journal_alert, time_ns())
            alerts += active_alarms.take(alert)
            self._journal_alert = None if trouble is None else alert
        for message in alerts:
            self.metrics.alerted(message.code, message.priority)
        if alerts:
            self._publish([Outgoing(each) for each in alerts])

    def _apply(self, prepared: Prepared) -> None:
        """Go on with other settings, another model, another allow-list: between two iterations."""
        settings = prepared.settings
        self._loaded = prepared.loaded or self._loaded
        self.metrics.model_loaded(self._loaded.digest)
        self._engine.adjust(self._loaded.scorer, settings.alarms, engine_settings(settings))
        self._publisher.retention = retention(settings)
        self._overload.adjust(*_limits(settings))
        self._shedding.adjust(settings.ingest.frames_per_s)
        self.liveness.status_s = settings.log.status_s
        log.set_level(settings.log.level)
        authenticator = self.sockets.authenticator
        if authenticator is not None and prepared.allow_list is not None:
            revoked = authenticator.replace(prepared.allow_list)
            if Role.INGEST in revoked:
                self.sockets.source.reopen()
            if revoked - {Role.INGEST}:
                self._publisher.reopen()

    def _finish(self) -> None:
        """Take what was queued before the end, for a bounded time, and score what waits."""
        end = self._clock() + DRAIN_S
        while not self._queue.empty() and self._clock() < end:
            self._iterate(0.0)
        self._publish(self._engine.drain(self._clock()))
        if self._checkpointer is not None:
            self._publisher.put(checkpoints=self._checkpointer.all())
        self._reload.close()
        if not self._publisher.close(FLUSH_S):
            self._log.error(
                "not everything could be published and journaled in time", seconds=FLUSH_S
            )
        self.liveness.report(self._clock())


def _limits(settings: Settings) -> tuple[float, int]:
    """What overload goes by: seconds that a frame may wait, and streams."""
    return settings.overload.behind_ms / 1000, settings.streams.max


def _sender(parts: list[bytes]) -> str:
    """Whose frame it was, as far as its topic can be trusted to say."""
    return parts[0][:80].decode("ascii", "backslashreplace") if parts else ""
