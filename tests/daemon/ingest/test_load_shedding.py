"""A daemon under more load than it can carry: on scripted time, with a scripted queue."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
import pytest

from beatgan.model.loading import Loaded
from beatgan.model.scorer import Scorer
from beatgan.pipeline.outgoing import Outgoing
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frames import encode_frame
from beatgan.protocol.messages import AlertMessage, Message, StatusMessage
from beatgan.spec import PreprocessSpec
from beatgan.types import Chunk
from beatgan_daemon.ingest.overload import PROBATION_S
from beatgan_daemon.service import Service, start
from beatgan_daemon.systemd import Notifier
from beatgan_train.training.coefficients import coefficients_of
from tests.support.settings import loopback_settings

COEFFICIENTS = coefficients_of("full")

FS = 50.0
BEDS = 100
BEHIND_S = 0.5
SILENCE_S = 5.0
CHECK_S = 1e-5  # for a frame that is dropped
CARRIED_S, TOO_MUCH_S = 0.002, 0.02  # for a frame that is used: a fifth of all time, twice all


def frames(beds: int, seconds: int) -> list[tuple[float, list[bytes]]]:
    """One frame a second of each of ``beds``, evenly spread, with its time: all in its order."""
    samples = np.zeros((int(FS), 1), np.float32)
    found = []
    for second in range(seconds):
        for bed in range(beds):
            first = second * len(samples)
            chunk = Chunk(f"bed-{bed:03}", 1, second, first, second * 10**9, FS, ("II",), samples)
            found.append((second + bed * 37 % beds / beds, encode_frame(chunk)))
    return sorted(found)


Coming = list[tuple[float, list[bytes]]]


class World:
    """A clock, connections whose queues fill by it, and work that makes it pass."""

    def __init__(self, coming: Coming, load: Callable[[float], float], *others: Coming) -> None:
        """``load``: seconds that it takes to use a frame, by the time. ``others`` come by
        connections of their own, which take turns as ZeroMQ's do."""
        self.load = load
        self.now = 0.0
        self.taken = 0
        self.connection: str | int | None = None
        self.used: list[tuple[float, str]] = []  # delays and streams
        self.said: list[tuple[float, Message]] = []
        self._connections = deque(deque(each) for each in (coming, *others))
        self._came = {id(parts): when for each in (coming, *others) for when, parts in each}

    def __call__(self) -> float:
        return self.now

    def receive(self) -> list[bytes] | None:
        for _ in range(len(self._connections)):
            self._connections.rotate(-1)
            queue = self._connections[-1]
            if queue and queue[0][0] <= self.now:
                self.now += CHECK_S
                self.taken += 1
                self.connection = id(queue)
                return queue.popleft()[1]
        return None

    def wait(self, seconds: float) -> bool:
        due = min((queue[0][0] for queue in self._connections if queue), default=inf)
        self.now = max(self.now, min(due, self.now + seconds))
        return due <= self.now

    def decode(self, parts: list[bytes]) -> Chunk:
        self.now += self.load(self.now)
        chunk = decode_frame(parts)
        self.used.append((self.now - self._came[id(parts)], chunk.stream))
        return chunk

    def put(self, outgoing: Outgoing, *_: object, **__: object) -> None:
        self.said += [(self.now, message) for message in outgoing.messages]

    def states(self, state: str) -> list[tuple[float, str]]:
        return [
            (now, m.stream)
            for now, m in self.said
            if isinstance(m, StatusMessage) and m.state == state
        ]


@pytest.fixture
def serve(
    logged: object, new_scorer: Callable[[], Scorer], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Service]]:
    """Serve a world for so long; the service afterwards."""
    flags = {
        "streams.silence_s": str(SILENCE_S),
        "overload.behind_ms": str(1000 * BEHIND_S),
    }
    loaded = Loaded("student", "d1gest", PreprocessSpec(), COEFFICIENTS, new_scorer(), "cpu")
    with ExitStack() as resources:

        def until(
            world: World,
            seconds: float,
            look: Callable[[Service], object] = lambda _: None,
            **other: str,
        ) -> Service:
            settings = loopback_settings(**flags | other)
            service = start(settings, loaded, resources, Notifier({}), lambda: settings, world)
            monkeypatch.setattr(service, "_work", world)
            monkeypatch.setattr(service._queue, "_source", world)
            monkeypatch.setattr(service._publisher, "put", world.put)
            monkeypatch.setattr("beatgan_daemon.service.decode_frame", world.decode)

            def over() -> bool:
                look(service)
                return world.now >= seconds

            service.serve(over)
            return service

        yield until


def test_a_load_that_it_can_carry_sheds_nothing(serve: Callable[..., Service]) -> None:
    world = World(frames(BEDS, 20), lambda _: CARRIED_S)
    service = serve(world, 20.0)
    assert service.metrics.total("frames_shed_total") == 0
    assert len(world.used) == BEDS * 20
    assert world.states("shed") == []


def until(end: float) -> Callable[[float], float]:
    """Too much from the third second to ``end``."""
    return lambda now: TOO_MUCH_S if 2 <= now < end else CARRIED_S


def test_overload_is_told_counted_and_bounded(
    serve: Callable[..., Service], logged: Callable[[], list[dict[str, Any]]]
) -> None:
    world = World(frames(BEDS, 40), until(40.0))
    troubles = set()
    service = serve(world, 39.0, lambda service: troubles.add(service.liveness.unready()))
    shed = service.metrics.total("frames_shed_total")
    assert len(world.used) + shed == world.taken >= 38 * BEDS
    late = [delay for delay, _ in world.used]
    assert max(late) <= BEHIND_S + 3 * TOO_MUCH_S  # one turn, and it is seen
    assert np.median(late) < BEHIND_S / 2
    came = [stream for _, stream in world.states("started")]
    gone = [stream for _, stream in world.states("shed")]
    assert gone[:25] == came[-25:], "the newest quarter"
    assert 50 <= len(gone) == len(set(gone)) == service.metrics.total("streams_shed") < 75
    served = Counter(stream for _, stream in world.used)
    assert min(served[each] for each in set(came) - set(gone)) >= 33, "served almost fully"
    assert any(word and "streams are not served" in word for word in troubles)
    lines = [line for line in logged() if line["event"] == "overloaded"]
    assert 1 <= len(lines) <= 39 / 5 + 1
    assert shed - BEDS * 6 <= sum(line["frames"] for line in lines) <= shed
    assert all(line["streams"] == BEDS for line in lines)


def test_a_shed_stream_falls_silent_by_itself(serve: Callable[..., Service]) -> None:
    world = World(frames(BEDS, 20), until(20.0))
    serve(world, 20.0)
    silent = {
        m.stream: now
        for now, m in world.said
        if isinstance(m, AlertMessage) and m.code == "signal.no-data" and m.phase == "start"
    }
    early = [(now, stream) for now, stream in world.states("shed") if now < 20 - SILENCE_S - 1]
    assert len(early) >= 50
    for now, stream in early:
        assert now + SILENCE_S - 4 <= silent[stream] <= now + SILENCE_S + BEHIND_S
    assert set(silent) <= {stream for _, stream in world.states("shed")}


def test_it_recovers_and_every_sample_is_accounted_for(serve: Callable[..., Service]) -> None:
    fall = 20.0
    world = World(frames(BEDS, 80), until(fall))
    service = serve(world, 79.99)
    back, gone = world.states("resumed"), world.states("shed")
    came = [stream for _, stream in world.states("started")]
    assert [stream for _, stream in back] == [each for each in came if each in dict(swap(gone))]
    assert all(now > fall for now, _ in back)
    times = sorted({now for now, _ in back})
    assert all(later - now >= PROBATION_S for now, later in pairwise(times))
    assert max(Counter(now for now, _ in back).values()) == BEDS / 10
    metrics = service.metrics
    assert metrics.total("streams_shed") == 0
    assert metrics.total("samples_received_total") == len(world.used) * FS
    sent = BEDS * 80 * FS
    assert metrics.total("samples_received_total") + metrics.total("samples_lost_total") == sent
    assert metrics.total("frames_shed_total") * FS == metrics.total("samples_lost_total")


def swap(pairs: list[tuple[float, str]]) -> list[tuple[str, float]]:
    return [(stream, now) for now, stream in pairs]


def test_while_streams_are_shed_new_ones_stand_in_line(serve: Callable[..., Service]) -> None:
    late = [each for each in frames(BEDS + 1, 70) if each[1][0] == b"ecg.bed-100" and each[0] > 8]
    world = World(sorted([*frames(BEDS, 70), *late]), until(10.0))
    service = serve(world, 69.99)
    (began,) = [now for now, stream in world.states("started") if stream == "bed-100"]
    assert began > max(now for now, _ in world.states("resumed"))
    assert service.metrics.total("streams_active") == BEDS + 1


def test_a_malformed_frame_is_refused_as_ever(serve: Callable[..., Service]) -> None:
    bad = [(9.5, parts) for parts in ([b"ecg.bed 1", b"", b""], [b"nonsense"])]
    world = World(sorted([*frames(BEDS, 10), *bad]), until(10.0))
    service = serve(world, 11.0)
    assert service.metrics.total("streams_shed") > 0
    assert service.metrics.total("frames_rejected_total") == 2


@pytest.mark.parametrize(("pause", "loses"), [(1.5, False), (30.0, True)])
def test_a_pause_of_the_machine_sheds_no_stream(
    serve: Callable[..., Service], pause: float, loses: bool
) -> None:
    """After a short one it catches up, after a long one what waits is thrown away."""
    pauses = iter([pause])
    world = World(frames(BEDS, 40), lambda now: next(pauses, CARRIED_S) if now > 5 else CARRIED_S)
    service = serve(world, 39.99)
    assert world.states("shed") == []
    dropped = service.metrics.total("frames_shed_total")
    assert (dropped > 0) == loses
    assert dropped <= pause * BEDS
    assert service.metrics.total("samples_lost_total") == dropped * FS


def test_it_can_be_switched_off(serve: Callable[..., Service]) -> None:
    world = World(frames(BEDS, 10), lambda _: TOO_MUCH_S)
    service = serve(world, 20.0, **{"overload.behind_ms": "0"})
    assert service.metrics.total("frames_shed_total") == 0
    assert len(world.used) == BEDS * 10


# --- floods ------------------------------------------------------------------------------------

FLOOD_PER_S = 5000
RATE = 200.0


def flood(kind: str, since: float, until: float) -> list[tuple[float, list[bytes]]]:
    """Absurdly many frames: one stream's, or of names without end, valid or not."""
    samples = np.zeros((int(FS), 1), np.float32)
    found = []
    for k in range(round((until - since) * FLOOD_PER_S)):
        name = "mad" if kind in ("one stream", "one name") else f"mad-{k}"
        chunk = Chunk(name, 1, k, k * len(samples), k * 10**9, FS, ("II",), samples)
        topic, header, payload = encode_frame(chunk)
        valid = kind in ("one stream", "names")
        parts = [topic, header, payload] if valid else [topic, b"nonsense", b""]
        found.append((since + k / FLOOD_PER_S, parts))
    return found


@pytest.mark.parametrize("kind", ["one stream", "one name", "names", "nonsense"])
def test_a_flood_costs_the_others_nothing(
    serve: Callable[..., Service], logged: Callable[[], list[dict[str, Any]]], kind: str
) -> None:
    storm = flood(kind, 5.0, 12.0)
    world = World(sorted([*frames(BEDS, 25), *storm]), lambda _: CARRIED_S)
    service = serve(world, 24.99, **{"streams.max": "1000"})
    assert world.states("shed") == []
    assert service.metrics.total("frames_shed_total") == 0
    beds = [(delay, stream) for delay, stream in world.used if stream.startswith("bed")]
    assert len(beds) == 25 * BEDS, "none of theirs is lost"
    assert max(delay for delay, _ in beds) < BEHIND_S
    flooded = rejected(service, "flood")
    assert len(storm) - 13 * RATE < flooded < len(storm) - 6 * RATE
    lines = [line["event"] for line in logged() if "held to a rate" in line["event"]]
    assert lines == ["held to a rate", "no longer held to a rate"]


def rejected(service: Service, reason: str) -> float:
    text = service.metrics.exposition().decode()
    line = f'beatgan_frames_rejected_total{{reason="{reason}"}} '
    return sum(float(each.split()[1]) for each in text.splitlines() if each.startswith(line))


def test_who_floods_is_served_at_its_rate(serve: Callable[..., Service]) -> None:
    storm = flood("one stream", 5.0, 20.0)
    world = World(sorted([*frames(BEDS, 20), *storm]), lambda _: CARRIED_S)
    service = serve(world, 24.0)  # what lies far ahead is held for a while
    served = [delay for delay, stream in world.used if stream == "mad"]
    assert 14 * RATE < len(served) < 18 * RATE + FLOOD_PER_S * BEHIND_S / 2
    received = service.metrics.total("samples_received_total")
    jumps = rejected(service, "jump")  # frames that nothing confirmed, in a storm with holes
    assert received == (len(world.used) - jumps) * FS
    assert jumps < len(served) / 4
    assert service.metrics.total("samples_lost_total") >= (len(storm) - len(served) - 50) * FS


def flow(names: list[str], per_s: int, since: float, until: float) -> Coming:
    """So many frames a second of each stream, all in turn."""
    samples = np.zeros((int(FS) // 10, 1), np.float32)
    found = []
    for k in range(round((until - since) * per_s)):
        for at, name in enumerate(names):
            chunk = Chunk(name, 1, k, k * len(samples), k * 10**8, FS, ("II",), samples)
            found.append((since + (k + at / len(names)) / per_s, encode_frame(chunk)))
    return found


def test_one_that_takes_too_much_time_is_held_to_what_is_left(
    serve: Callable[..., Service], logged: Callable[[], list[dict[str, Any]]]
) -> None:
    """It sends fewer frames than it may; together they need half as much time again as there is."""
    hog = flow(["hog"], 150, 5.0, 20.0)
    world = World(sorted([*frames(BEDS, 20), *hog]), lambda _: 0.006)
    service = serve(world, 19.99)
    assert world.states("shed") == []
    beds = [delay for delay, stream in world.used if stream != "hog"]
    assert len(beds) >= 20 * BEDS - 2
    assert max(beds) < BEHIND_S
    had = len(world.used) - len(beds)
    assert 0.3 / 0.006 * 15 < had < 0.5 / 0.006 * 15 + BEHIND_S * 150
    waits = service._queue.load_by_topic(lambda _: 1).total()
    assert had + rejected(service, "flood") + waits == pytest.approx(len(hog), abs=2)
    assert "held to a share" in [line["event"] for line in logged()]


@pytest.mark.parametrize("first", [True, False])
def test_many_streams_of_one_sender_cost_another_nothing(
    serve: Callable[..., Service], first: bool
) -> None:
    """None sends too many frames, all together five times what can be served."""
    odd = flow([f"odd-{k}" for k in range(100)], 25, 5.0 if first else 0.0, 20.0)
    beds = flow([f"bed-{k}" for k in range(10)], 10, 0.0 if first else 0.5, 20.0)
    world = World(odd, lambda _: CARRIED_S, beds)
    serve(world, 19.99)
    delays = [delay for delay, stream in world.used if stream.startswith("bed")]
    assert len(delays) >= len(beds) - 50
    holes = [now for now, stream in world.states("gap") if stream.startswith("bed")]
    assert max(holes, default=0.0) < 2.0, "new ones come in together"
    assert np.quantile(delays, 0.95) < BEHIND_S / 5
    assert max(delays) < BEHIND_S / 2, "a hundred new names are a crowd, too"
    assert not [stream for _, stream in world.states("shed") if stream.startswith("bed")]
    assert [stream for _, stream in world.states("shed")]


@pytest.mark.parametrize("streams", [1, 3])
def test_alone_everybody_may_be_as_fast_as_can_be_served(
    serve: Callable[..., Service], streams: int
) -> None:
    """A recording replayed at full speed: what waits makes the sender wait, and nothing is lost."""
    coming = [(0.0, parts) for _, parts in frames(streams, 6000 // streams)]
    world = World(coming, lambda _: CARRIED_S)
    service = serve(world, 30.0)
    assert len(world.used) == len(coming)
    assert service.metrics.total("frames_shed_total") == rejected(service, "flood") == 0
    assert service.metrics.total("samples_lost_total") == 0
    assert world.states("shed") == []


def test_who_comes_to_a_replay_at_full_speed_is_served_in_time(
    serve: Callable[..., Service],
) -> None:
    """FLOOD_PER_S is more than can be served, as a replay at full speed is."""
    storm = flood("one stream", 0.0, 20.0)
    late = [each for each in frames(10, 20) if each[0] > 8]
    world = World(storm, lambda _: CARRIED_S, late)
    serve(world, 20.0)
    delays = [delay for delay, stream in world.used if stream != "mad"]
    assert len(delays) >= len(late) - 2
    assert max(delays[5:]) < BEHIND_S
