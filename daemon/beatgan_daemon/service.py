"""The daemon's life in three calls: start, serve, stop. The one place where all rooms meet.

The pipeline, this thread, owns the sockets for ECG, in and out again, and the engine; the publisher
journals and sends.
HTTP, the authenticator and the watchdog have threads of their own. All queues are bounded: what
overflows is counted. Nothing here knows what a beat is.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from socket import gethostname
from time import monotonic, time_ns

from beatgan.errors import StreamError
from beatgan.model.loading import Loaded
from beatgan.pipeline.message_builder import journal_alert
from beatgan.pipeline.outgoing import Outgoing
from beatgan.protocol.frame_decoder import decode_frame, warm_up
from beatgan.protocol.messages import AlertMessage
from beatgan.protocol.names import stream_of_topic
from beatgan_daemon import log
from beatgan_daemon.compilation import CompilationLog
from beatgan_daemon.exit_codes import Exit
from beatgan_daemon.ingest.fair_queue import Frame
from beatgan_daemon.liveness import Watchdog
from beatgan_daemon.model_loading import load_model
from beatgan_daemon.preflight import cache_warnings, connection_warnings
from beatgan_daemon.publishing.stream_actions import Acknowledgement, Discharge
from beatgan_daemon.reload import Prepared, Reload
from beatgan_daemon.reload_socket import Answer, ReloadSocket
from beatgan_daemon.security.allow_list import AllowList, Role
from beatgan_daemon.settings import Settings
from beatgan_daemon.sharding.registry import ShardRecord, reachable
from beatgan_daemon.signals import reload_signal, stop_signals
from beatgan_daemon.systemd import Notifier
from beatgan_daemon.wiring import Parts, engine_settings, open_parts, overload_limits, retention
from beatgan_daemon.zmq_endpoints import is_local

FRAMES_PER_ITERATION = 32  # then beats that are due are scored, even if more frames wait
ITERATION_S = 0.02  # likewise, where frames are so large that fewer take as long
FRAME_S, EVENT_S = 1e-5, 2e-4  # what a frame costs besides, to be read; an event, to be told
LONGEST_WAIT_S = 0.2  # for a frame: how soon a signal is seen
# A signal to stop is obeyed within 5 s, with those of wiring.py and reload.JOIN_S.
MAX_IDS_LOGGED = 5  # of episodes acknowledged at once
DRAIN_S = 1.5  # for frames that had arrived by then
FLUSH_S = 1.5  # for the publisher to journal and send everything


def run(settings: Settings, read: Callable[[], Settings]) -> Exit:
    """Serve until SIGTERM or SIGINT; on SIGHUP ``read`` the settings anew.

    Raises what keeps it from starting. A crash is logged with its traceback and ends in
    `Exit.CRASH`, for a supervisor to restart.
    """
    logger = log.get()
    with (
        stop_signals(last=True) as stopping,
        reload_signal(last=True) as reloading,
        ExitStack() as resources,
    ):
        notifier = Notifier()
        compilation_log = CompilationLog(notifier)
        resources.enter_context(compilation_log.written())
        with notifier.warming_up("loading and testing the model"):
            loaded = load_model(settings.model.path, settings.model.device)
            warm_up()
            for text in cache_warnings():
                logger.warning("compiled code is not kept", why=text)
            for text in connection_warnings():
                logger.warning("a broken connection can end it", why=text)
            service = start(settings, loaded, resources, notifier, read)
        requests = resources.enter_context(ReloadSocket()).requests
        compilation_log.starts_serving()
        service.announce()
        try:
            service.serve(stopping, reloading, requests)
        except Exception:  # the one place: what nobody foresaw must reach the log
            logger.exception("crashed")
            return Exit.CRASH
    logger.info("stopped")
    return Exit.LOST if service.lost_alerts else Exit.DONE


def start(
    settings: Settings,
    loaded: Loaded,
    resources: ExitStack,
    notifier: Notifier,
    read: Callable[[], Settings],
    clock: Callable[[], float] = monotonic,
) -> "Service":
    """Open everything; ``resources`` closes it, last opened first closed.

    Raises StartError where an endpoint, the state directory or a key is not to be had.
    """
    parts = open_parts(settings, loaded, resources, notifier, clock)
    return Service(parts, settings, loaded, resources, notifier, read, clock)


class Service:
    """A started daemon: the model has proved itself, every socket is bound, HTTP answers."""

    def __init__(
        self,
        parts: Parts,
        settings: Settings,
        loaded: Loaded,
        resources: ExitStack,
        notifier: Notifier,
        read: Callable[[], Settings],
        clock: Callable[[], float],
    ) -> None:
        """``parts`` are those of ``settings`` and ``loaded``; ``read`` finds the settings anew.

        What is opened later is closed by ``resources``.
        """
        self._settings, self._loaded, self._resources = settings, loaded, resources
        self._clock, self._notifier, self._log = clock, notifier, log.get()
        self.metrics, self.sockets, self.http = parts.metrics, parts.sockets, parts.http
        self.liveness = parts.liveness
        self._engine, self._actions = parts.engine, parts.actions
        self._publisher, self._delivery = parts.publisher, parts.delivery
        self._queue, self._work = parts.queue, parts.work
        self._overload, self._shedding = parts.overload, parts.shedder
        self._refusals, self._rejected = parts.refusals, parts.rejected
        self._moves = parts.moves
        self._journal_alert: AlertMessage | None = None
        self.lost_alerts = 0  # at the end: sent, but not on the disk
        self._reload = Reload(
            settings, loaded, read, self._apply, self._admit, self.metrics, notifier
        )

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
            tap=[] if sockets.tap is None else [*sockets.tap.endpoints],
            http=f"http://{self.http.address}",
            encrypted=sockets.authenticator is not None,
            state="in memory" if settings.state.dir is None else str(settings.state.dir),
            restored=len(self._engine.streams()),
            version=version("beatgan"),
            **({} if settings.shard.name is None else {"shard": settings.shard.name}),
        )
        self._announce()
        self._notifier.send("READY=1", "STATUS=ready, no stream yet")
        self._resources.enter_context(Watchdog(self.liveness, self._notifier))

    def _announce(self) -> None:
        """Say where this shard is to those who look for it; a daemon alone says nothing."""
        if self._moves is not None and (name := self._settings.shard.name) is not None:
            self._moves.directory.announce(self._record(name))

    def _record(self, shard: str) -> ShardRecord:
        settings, sockets = self._settings, self.sockets
        host = settings.shard.host or gethostname()
        return ShardRecord(
            shard=shard,
            host=host,
            pid=os.getpid(),
            ready_ns=time_ns(),
            version=version("beatgan"),
            model=self._loaded.digest,
            ingest=tuple(reachable(each, host) for each in sockets.source.endpoints),
            publish=reachable(sockets.sink.endpoint, host),
            control=reachable(sockets.control.endpoint, host),
            tap=tuple(reachable(e, host) for e in (sockets.tap.endpoints if sockets.tap else ())),
            http=reachable(f"http://{self.http.address}", host),
        )

    def serve(
        self,
        stopping: Callable[[], bool],
        reloading: Callable[[], bool] = lambda: False,
        requests: Callable[[], Sequence[Answer]] = tuple,
    ) -> None:
        """Iterate until ``stopping`` says so, then finish what had arrived.

        ``reloading``: whether a reload is wanted; ``requests``: who wants one and its outcome.
        """
        while not stopping():
            began = self._clock()
            idle = self._iterate(self._longest_wait())
            now = self._clock()
            self._overload.record_iteration(
                now - began - idle, idle, caught_up=len(self._queue) == 0
            )
            self._shedding.balance(now, self._queue)
            self._update_alarms()
            self._move_buckets(now)
            self._reload.poll(reloading(), requests())
        self.liveness.stopping = True
        self._notifier.send("STOPPING=1", "STATUS=finishing what has arrived")
        self._log.info("stopping")
        self._finish()

    def _longest_wait(self) -> float:
        """Seconds to wait for a frame until the engine has something to do of its own."""
        longest = LONGEST_WAIT_S if self._moves is None else self._moves.wait_s()
        deadline = self._engine.deadline()
        if deadline is None:
            return longest
        return min(max(deadline - self._clock(), 0.0), longest)

    def _move_buckets(self, now: float) -> None:
        """Where several shards share the streams: follow their map."""
        if self._moves is not None:
            for frame in self._moves.step(now):
                self._receive(frame)

    def _iterate(self, wait: float) -> float:
        """Take the frames that wait, up to a bound, and publish what came of them.

        Seconds, up to ``wait``, in which there was nothing to be done.
        """
        idle = self._queue.pull(wait)
        now = self._clock()
        end, worked = now + ITERATION_S, self._work()
        for _ in range(FRAMES_PER_ITERATION):
            if now > end or (frame := self._queue.take()) is None:
                break
            before, events = worked, self._engine.events()
            now = self._take(frame)
            worked = self._work()
            later = EVENT_S * (self._engine.events() - events)
            self._queue.charge(FRAME_S + worked - before + later, now)
        now = self._clock()
        self._delivery.publish(self._engine.poll(now, self._queue.received_until()))
        self._refusals.flush(now)
        if self.sockets.tap is not None:
            self.sockets.tap.take_subscriptions()
        self.liveness.iterated(now)
        return idle

    def _take(self, frame: Frame) -> float:
        """Take in one frame; the time when that is done."""
        if self._moves is None or not self._moves.holds(frame):
            self._receive(frame)
        return self._clock()

    def _receive(self, frame: Frame) -> None:
        """Let the engine have a frame, and send it on if it was accepted."""
        parts = frame.parts
        try:
            self._engine.receive(decode_frame(parts), frame.arrived, frame.sender)
        except StreamError as error:  # the peer's fault: the daemon goes on
            stream, why = stream_of_topic(parts[0]), f"{_topic(parts)}: {error}"
            self._refusals.add(error.reason, stream, why, frame.arrived)
        else:
            if self.sockets.tap is not None:
                self.sockets.tap.send(parts)

    def _update_alarms(self) -> None:
        """Alarms that do not come from ECG: what clients ask for, and that of the journal."""
        outgoing = Outgoing()
        for action in self._actions.take():
            if isinstance(action, Discharge):
                outgoing.extend(self._discharge(action))
            else:
                outgoing.messages += self._acknowledge(action)
        trouble = self._publisher.trouble
        if (trouble is None) != (self._journal_alert is None):
            alert = journal_alert(self._journal_alert, time_ns())
            outgoing.messages += self._raised(self._engine.active_alarms.take(alert))
            self._journal_alert = None if trouble is None else alert
        for each in self._rejected.alerts(self._clock(), time_ns):
            outgoing.messages += self._raised(self._engine.active_alarms.take(each))
        self.liveness.full, self.liveness.degraded = self._rejected.full, self._rejected.summary
        if outgoing.messages or outgoing.arrivals:
            self._delivery.publish(outgoing)

    def _raised(self, alerts: list[AlertMessage]) -> list[AlertMessage]:
        """Alerts that the engine did not count."""
        for message in alerts:
            self.metrics.alerted(message.code, message.priority)
        return alerts

    def _acknowledge(self, action: Acknowledgement) -> list[AlertMessage]:
        alarms = self._engine.active_alarms
        alerts = [
            message
            for episode in action.episodes
            for message in alarms.acknowledge(episode, action.by, action.at_ns)
        ]
        ids = [message.id for message in alerts[:MAX_IDS_LOGGED]]
        self._log.info("acknowledged", count=len(alerts), episodes=ids, by=action.by)
        return self._raised(alerts)

    def _discharge(self, action: Discharge) -> Outgoing:
        """End the watch over a stream; of one that is gone already, the alarms that are left."""
        stream, by, at_ns = action
        self._log.info("discharged", stream=stream, by=by)
        outgoing = Outgoing()
        if self._engine.knows(stream):
            outgoing = self._engine.discharge(stream, by, at_ns, self._clock())
        self._shedding.forget(stream)
        self._rejected.forget(stream)
        alarms = self._engine.active_alarms
        outgoing.messages += self._raised(alarms.discharge(stream, by, at_ns))
        return outgoing

    def _apply(self, prepared: Prepared) -> None:
        """Go on with other settings, another model: between two iterations."""
        settings = prepared.settings
        self._loaded = prepared.loaded or self._loaded
        if self._moves is not None:
            self._moves.directory.look_soon()
        self._announce()
        self.metrics.model_loaded(self._loaded.digest)
        self._engine.adjust(self._loaded.scorer, settings.alarms, engine_settings(settings))
        self._publisher.retention = retention(settings)
        self._overload.adjust(*overload_limits(settings))
        self._shedding.adjust(settings.ingest.frames_per_s)
        self.liveness.status_s = settings.log.status_s
        log.set_level(settings.log.level)

    def _admit(self, allow_list: AllowList) -> None:
        """Go on with another allow-list: whose key is no longer on it is cut off."""
        authenticator = self.sockets.authenticator
        if authenticator is not None:
            revoked = authenticator.replace(allow_list)
            if Role.INGEST in revoked:
                self.sockets.source.reopen()
            if Role.SIGNAL in revoked and self.sockets.tap is not None:
                self.sockets.tap.reopen()
            if revoked & {Role.SUBSCRIBE, Role.CONTROL}:
                self._publisher.reopen()

    def _finish(self) -> None:
        """Take what was queued before the end, for a bounded time, and score what waits."""
        end = self._clock() + DRAIN_S
        while not self._queue.empty() and self._clock() < end:
            self._iterate(0.0)
        self._delivery.publish(self._engine.drain(self._clock()))
        self._delivery.save_all()
        self._reload.close()
        if not self._publisher.close(FLUSH_S):
            self._log.error(
                "not everything could be published and journaled in time", seconds=FLUSH_S
            )
        self._report_losses()
        self.liveness.report(self._clock())

    def _report_losses(self) -> None:
        """What was to be stored and could not be: said for the last time, and it decides the exit
        code. Without a state directory nothing is."""
        unstored, why = self._publisher.unstored(), self._publisher.trouble
        self.lost_alerts = unstored.alerts
        if self.lost_alerts:
            self._log.critical(
                "alerts are lost",
                count=unstored.alerts,
                first=unstored.first,
                last=unstored.last,
                why=f"they were sent, but not written: {why}",
            )
        if self._publisher.unsaved:
            why = self._publisher.checkpoint_trouble or "there was no time to write them"
            self._log.error(
                "checkpoints are lost",
                count=self._publisher.unsaved,
                why=f"{why}; streams go on from older ones, or anew",
            )


def _topic(parts: list[bytes]) -> str:
    """Whose frame it was, as far as its topic can be trusted to say."""
    return parts[0][:80].decode("ascii", "backslashreplace") if parts else ""
