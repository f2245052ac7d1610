"""The parts of a daemon, made from its settings: sockets, journal, store, and the engine restored.

Everything that can refuse to start does so here. Knows nothing of the loop.
"""

from collections.abc import Callable, Set
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from time import time_ns

import zmq

from beatgan.model.loading import Loaded
from beatgan.pipeline.checkpointing import Checkpointer
from beatgan.pipeline.engine import Engine, EngineSettings
from beatgan.pipeline.outgoing import Outgoing
from beatgan.protocol.control_answers import StreamActions
from beatgan.protocol.names import stream_of_topic, topic_of
from beatgan.protocol.subscriptions import BeatSubscriptions
from beatgan_daemon import log, zmq_endpoints
from beatgan_daemon.http_server import HttpServer
from beatgan_daemon.ingest.frame_queue import FrameQueue
from beatgan_daemon.ingest.frame_refusals import FrameRefusals
from beatgan_daemon.ingest.load_shedding import LoadShedder
from beatgan_daemon.ingest.overload import OverloadPolicy
from beatgan_daemon.ingest.rejected_streams import RejectedStreams
from beatgan_daemon.ingest.sender_guard import SenderGuard
from beatgan_daemon.ingest.work_clock import WorkClock
from beatgan_daemon.liveness import Liveness
from beatgan_daemon.log_writer import lost_lines
from beatgan_daemon.metrics import AlarmCollector, Metrics
from beatgan_daemon.moving.bucket_moves import BucketMoves
from beatgan_daemon.moving.joining import follow_map, join
from beatgan_daemon.persistence import Persistence, open_persistence
from beatgan_daemon.preflight import require_map
from beatgan_daemon.publishing.delivery import Delivery
from beatgan_daemon.publishing.publisher import Publisher, Retention
from beatgan_daemon.publishing.stream_actions import StreamActionQueue
from beatgan_daemon.security.allow_list import Role
from beatgan_daemon.security.credentials import Credentials, load_credentials
from beatgan_daemon.security.zap_authenticator import ZapAuthenticator
from beatgan_daemon.settings import Settings
from beatgan_daemon.sockets.connection_limit import ConnectionLimit
from beatgan_daemon.sockets.control_socket import ControlSocket
from beatgan_daemon.sockets.ingest_socket import IngestSocket
from beatgan_daemon.sockets.publish_socket import PublishSocket
from beatgan_daemon.sockets.tap_socket import TapSocket
from beatgan_daemon.systemd import Notifier

LINGER_S = 1.0  # at the end, for subscribers to take what is queued for them
GIVE_UP_S = 0.1  # for a publisher that was not closed, or did not end in time


def engine_settings(settings: Settings) -> EngineSettings:
    """The settings in the engine's units: seconds."""
    return EngineSettings(
        batch_size=settings.batch.size,
        batch_age=settings.batch.age_ms / 1000,
        silence=settings.streams.silence_s,
        max_streams=settings.streams.max,
        reorder=settings.streams.reorder_ms / 1000,
        revise_within=settings.model.revise_within_s,
    )


def make_engine(
    settings: Settings,
    loaded: Loaded,
    metrics: Metrics,
    clock: Callable[[], float],
    subscriptions: BeatSubscriptions,
) -> Engine:
    """An engine that knows no stream yet; ``metrics`` count its work and ask it for the rest."""
    engine = Engine(
        loaded.spec,
        loaded.coefficients,
        loaded.scorer,
        settings.alarms,
        engine_settings(settings),
        observer=metrics,
        clock=clock,
        unix_ns=time_ns,
        wanted=lambda: subscriptions.wanted,
    )
    metrics.ask(
        "clock_drift_ratio",
        "The largest drift of a source's clock against its samples, seconds a second",
        lambda: engine.clock_drift_ppm() / 1e6,
    )
    metrics.ask(
        "alerts_latched",
        "Episodes that are over and wait to be acknowledged",
        engine.active_alarms.latched,
    )
    metrics.ask("log_lines_lost", "Lines of the log that could not be written", lost_lines)
    metrics.registry.register(AlarmCollector(engine.active_alarms.counts))
    return engine


@dataclass(frozen=True, slots=True)
class Sockets:
    """Every ZeroMQ socket, bound, and who guards them: in number, and with keys."""

    source: IngestSocket
    sink: PublishSocket
    control: ControlSocket
    tap: TapSocket | None
    connections: ConnectionLimit
    authenticator: ZapAuthenticator | None


def credentials(settings: Settings) -> Credentials | None:
    """The keys, and who may use which socket. Raises StartError where one would be open to all."""
    return load_credentials(
        settings.security.key,
        settings.security.clients,
        settings.security.servers,
        bind={
            "ingest.bind": settings.ingest.bind,
            "publish.bind": [settings.publish.bind],
            "control.bind": [settings.control.bind],
            "tap.bind": settings.tap.bind,
        },
        connect=settings.ingest.connect,
    )


def open_authenticator(
    settings: Settings,
    context: zmq.Context[zmq.Socket[bytes]],
    resources: ExitStack,
    metrics: Metrics,
) -> ZapAuthenticator | None:
    """Who checks keys; None: there are none. Before all sockets of ``context``."""
    known = credentials(settings)
    if known is None:
        return None
    for text in known.warnings:
        log.get().warning("allow-list", why=text)
    return resources.enter_context(
        ZapAuthenticator(context, known.key, known.allow_list, known.servers, metrics.refused)
    )


def open_sockets(
    settings: Settings,
    context: zmq.Context[zmq.Socket[bytes]],
    authenticator: ZapAuthenticator | None,
    resources: ExitStack,
    metrics: Metrics,
    actions: StreamActions,
    subscriptions: BeatSubscriptions,
    buckets: Set[int],
) -> Sockets:
    """All sockets; on leaving ``resources``, subscribers may take what is queued.

    ``buckets``: those whose frames are taken at first. Sink and control are to be handed to a
    publisher, which closes them. Raises StartError.
    """
    sink = PublishSocket(
        context,
        settings.publish.bind,
        high_water=settings.publish.high_water,
        linger=LINGER_S,
        authenticator=authenticator,
        subscriptions=subscriptions,
    )
    resources.enter_context(sink)
    control = ControlSocket(
        context,
        settings.control.bind,
        actions=actions,
        requested=metrics.requested,
        authenticator=authenticator,
    )
    resources.enter_context(control)
    source = IngestSocket(
        context,
        settings.ingest.bind,
        settings.ingest.connect,
        high_water=settings.ingest.high_water,
        max_part=settings.ingest.max_message,
        queue_bytes=_queue_bytes(settings),
        authenticator=authenticator,
        buckets=buckets,
        plain=settings.ingest.plain_topics,
    )
    resources.enter_context(source)
    tap = None
    if settings.tap.bind:
        tap = TapSocket(
            context,
            settings.tap.bind,
            high_water=settings.tap.high_water,
            sent=metrics.tapped,
            dropped=metrics.tap_dropped,
            authenticator=authenticator,
        )
        resources.enter_context(tap)
    taken = {each.ROLE: each.endpoints for each in (sink, control, tap) if each is not None}
    limit = ConnectionLimit({Role.INGEST: source.endpoints, **taken}, metrics.refused)
    return Sockets(source, sink, control, tap, resources.enter_context(limit), authenticator)


def _tapped_streams(tap: TapSocket | None, engine: Engine) -> int:
    if tap is None:
        return 0
    return sum(tap.wants(topic_of("ecg", stream)) for stream in engine.streams())


def _queue_bytes(settings: Settings) -> int:
    return round(settings.ingest.queue_mb * 2**20)


def retention(settings: Settings) -> Retention:
    """How long alerts stay in the journal."""
    return Retention(settings.state.keep_days, settings.state.keep_mb)


def start_publisher(
    settings: Settings, sockets: Sockets, persistence: Persistence, metrics: Metrics
) -> Publisher:
    """The publisher's thread; it owns sink, control, journal and store from now on."""
    if persistence.store is not None:
        metrics.checkpointed(0)
    return Publisher(
        sockets.sink,
        sockets.control,
        persistence.journal,
        persistence.store,
        metrics,
        retention(settings),
    )


def overload_limits(settings: Settings) -> tuple[float, int]:
    """What overload goes by: seconds that a frame may wait, and streams."""
    return settings.overload.behind_ms / 1000, settings.streams.max


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that a service drives, open and started."""

    metrics: Metrics
    engine: Engine
    sockets: Sockets
    publisher: Publisher
    delivery: Delivery
    actions: StreamActionQueue
    liveness: Liveness
    queue: FrameQueue
    work: WorkClock
    refusals: FrameRefusals
    rejected: RejectedStreams
    overload: OverloadPolicy
    shedder: LoadShedder
    http: HttpServer
    moves: BucketMoves | None


def open_parts(
    settings: Settings,
    loaded: Loaded,
    resources: ExitStack,
    notifier: Notifier,
    clock: Callable[[], float],
) -> Parts:
    """Open and start everything, HTTP last; ``resources`` closes it in reverse.

    Streams and alarms of the daemon that was here before go on. Raises StartError where an
    endpoint, the state directory or a key is not to be had.
    """
    metrics = Metrics(version("beatgan"), loaded.digest)
    subscriptions = BeatSubscriptions()
    engine = make_engine(settings, loaded, metrics, clock, subscriptions)
    overload = OverloadPolicy(*overload_limits(settings), clock())
    require_map(settings.shard.dir)
    persistence = open_persistence(settings.state.dir)
    resources.callback(persistence.close)
    stored, shard = persistence.read(), settings.shard.place
    ownership = None if shard is None else join(*shard, stored, clock())
    context = zmq.Context[zmq.Socket[bytes]](
        io_threads=zmq_endpoints.io_threads(settings.ingest.connect)
    )
    resources.callback(zmq_endpoints.terminate, context, LINGER_S + GIVE_UP_S)
    authenticator = open_authenticator(settings, context, resources, metrics)
    who = (lambda _: None) if authenticator is None else authenticator.sender
    actions = StreamActionQueue(engine, lambda: overload.shed, who, clock)
    buckets = settings.ingest.buckets if ownership is None else frozenset(ownership.heard())
    sockets = open_sockets(
        settings, context, authenticator, resources, metrics, actions, subscriptions, buckets
    )
    metrics.ask(
        "tap_streams",
        "Streams whose frames somebody is subscribed to at the tap",
        lambda: _tapped_streams(sockets.tap, engine),
    )
    served = (lambda _: True) if ownership is None else ownership.has
    ended = persistence.restore(engine, stored, clock(), served)
    publisher = start_publisher(settings, sockets, persistence, metrics)
    resources.callback(publisher.close, GIVE_UP_S)
    checkpointer = None
    if settings.state.dir is not None:
        checkpointer = Checkpointer(engine, settings.state.checkpoint_s, clock())
    fence_of = (lambda _: None) if ownership is None else ownership.fence_of
    delivery = Delivery(publisher, checkpointer, clock, fence_of)
    delivery.publish(Outgoing([*ended]))
    liveness = make_liveness(settings, sockets, publisher, metrics, notifier, clock)
    rejected = RejectedStreams(engine.watches)
    refusals = FrameRefusals(metrics, log.get(), rejected)
    check = None
    if authenticator is not None:
        check = SenderGuard(sockets.source, who, engine, refusals.add).check
    queue = FrameQueue(
        sockets.source,
        settings.ingest.high_water,
        clock,
        check,
        _queue_bytes(settings),
        known=lambda topic: engine.knows(stream_of_topic(topic) or ""),
    )
    shedder = LoadShedder(
        overload, engine, metrics, liveness, log.get(), rejected, settings.ingest.frames_per_s
    )
    moves = None
    if ownership is not None and shard is not None:
        moves = follow_map(
            *shard,
            ownership,
            engine,
            delivery,
            sockets.source,
            queue,
            metrics,
            _forgetting(shedder, rejected),
            _queue_bytes(settings),
        )
        resources.callback(moves.directory.close)
        liveness.ask(moves.unready)
    http = HttpServer(
        settings.http.listen, metrics.exposition, alive=liveness.stalled, ready=liveness.unready
    )
    resources.callback(http.close)
    return Parts(
        metrics=metrics,
        engine=engine,
        sockets=sockets,
        publisher=publisher,
        delivery=delivery,
        actions=actions,
        liveness=liveness,
        queue=queue,
        work=resources.enter_context(WorkClock()),
        refusals=refusals,
        rejected=rejected,
        overload=overload,
        shedder=shedder,
        http=http,
        moves=moves,
    )


def _forgetting(shedder: LoadShedder, rejected: RejectedStreams) -> Callable[[str], None]:
    def forget(stream: str) -> None:
        shedder.forget(stream)
        rejected.forget(stream)

    return forget


def make_liveness(
    settings: Settings,
    sockets: Sockets,
    publisher: Publisher,
    metrics: Metrics,
    notifier: Notifier,
    clock: Callable[[], float],
) -> Liveness:
    """Liveness of all threads there are."""
    liveness = Liveness(metrics, notifier, clock, settings.log.status_s)
    liveness.watch("publisher", publisher.moved)
    liveness.ask(publisher.unready)
    liveness.watch("connections", sockets.connections.moved)
    if sockets.authenticator is not None:
        liveness.watch("authenticator", sockets.authenticator.moved)
    return liveness
