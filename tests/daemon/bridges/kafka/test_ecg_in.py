"""ECG from a broker to a daemon: each message arrives or is counted, whatever is cut."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import numpy as np

from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk
from beatgan_daemon.bridges.frame_body import frame_body, frame_parts
from beatgan_daemon.bridges.kafka.client_settings import CONSUMER
from beatgan_daemon.bridges.kafka.consumer import SETTLE_S, KafkaConsumer
from beatgan_daemon.bridges.kafka.ecg_in import HOLD_S, EcgIn, PatientOutput
from beatgan_daemon.bridges.kafka.pace import Pace
from beatgan_daemon.bridges.signal_in import SignalIn
from beatgan_daemon.clients.frame_output import DaemonOutput, FrameOutput
from benchmarks.robustness.bridges.kafka_brokers import KafkaBrokers
from tests.support.listening_daemon import ListeningDaemon

TOPIC = "beatgan.v1.ecg"
PATIENCE_S = 20.0
SIZE = 50
WIRE = Path(__file__).resolve().parents[3] / "golden" / "wire.json"


def body(first: int, stream: str = "bed-1", size: int = SIZE) -> bytes:
    samples = np.full((size, 1), first % 7, np.float32)
    return frame_body(encode_frame(Chunk(stream, 1, 0, first, 10**18, 250.0, ("II",), samples)))


def messages(count: int, begin: int = 0, stream: str = "bed-1") -> list[tuple[bytes, bytes]]:
    firsts = range(begin * SIZE, (begin + count) * SIZE, SIZE)
    return [(stream.encode(), body(first, stream)) for first in firsts]


class Bridge:
    """The loop of the command, in a thread."""

    def __init__(
        self,
        brokers: KafkaBrokers,
        daemon: str | FrameOutput,
        catch_up: float = 1e9,
        settle_s: float = SETTLE_S,
    ) -> None:
        settings = {
            **CONSUMER,
            "auto.commit.interval.ms": 100,
            "bootstrap.servers": brokers.address,
            "group.id": "beatgan",
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 1_500,
            "heartbeat.interval.ms": 200,
        }
        self._settings, self._daemon = settings, daemon
        self._pace, self._settle_s = Pace(catch_up), settle_s
        self._over = Event()
        self.held = 0
        self._thread = Thread(target=self._run)
        self._failed: BaseException | None = None

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:
            self._failed = error
            raise

    def _loop(self) -> None:
        daemon = self._daemon
        self.output = PatientOutput(
            DaemonOutput(connect=daemon) if isinstance(daemon, str) else daemon
        )
        self.output.hold = self._hold
        self.consumer = KafkaConsumer(self._settings, TOPIC, self._settle_s)
        self.consumer.join()
        signal = SignalIn(self.output)
        self.count = signal.count
        taker = EcgIn(self.consumer, signal, self.output, self._pace)
        while not self._over.is_set():
            taker.turn()
            message = self.consumer.next(0.05)
            if message is not None:
                taker.take(message)
        taker.close()

    def _hold(self) -> bool:
        self.held += 1
        self.consumer.hold()
        self.output.wait(HOLD_S)
        return not self._over.is_set()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def __enter__(self) -> "Bridge":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        assert self._failed is None


def until(enough: Callable[[], bool]) -> bool:
    end = monotonic() + PATIENCE_S
    while not enough() and monotonic() < end:
        sleep(0.02)
    return enough()


@contextmanager
def brokers() -> Iterator[KafkaBrokers]:
    with KafkaBrokers(TOPIC) as found:
        yield found


def test_a_body_is_the_golden_frame_behind_its_length() -> None:
    parts = [bytes.fromhex(part) for part in json.loads(WIRE.read_text())["frames"][0]["parts"]]
    made = frame_body(parts)
    assert made == len(parts[1]).to_bytes(4, "big") + parts[1] + parts[2]
    assert frame_parts("bed-7", made) == parts


def test_streams_come_whole_and_in_order() -> None:
    with brokers() as kafka, ListeningDaemon() as daemon:
        kafka.put(TOPIC, messages(20) + messages(20, stream="bed-2"))
        with Bridge(kafka, daemon.endpoint) as bridge:
            assert daemon.wait_for(40)
    for stream in ("bed-1", "bed-2"):
        assert [c.first for c in daemon.chunks(stream)] == list(range(0, 1000, SIZE))
    assert daemon.frames[0][1:] == frame_parts("x", body(0, "bed-1"))[1:]
    count = bridge.count
    assert (count.counted, count.sent, count.missing, count.unsent) == (2000, 2000, 0, 0)
    assert count.exact


NO_FRAMES: list[tuple[bytes | None, bytes | None]] = [
    (None, body(0)),
    (b"bed 7", body(0)),
    (b"\xff", body(0)),
    (b"bed-1", None),
    (b"bed-1", b""),
    (b"bed-1", b"\x00\x00\xff\xff" + b"x" * 100),
    (b"bed-1", b"\x00\x00\x00\x01{"),
    (b"bed-1", b'{"fs":250,"samples":[1]}'),
]


def test_what_is_no_frame_is_counted_and_passed_over() -> None:
    with brokers() as kafka, ListeningDaemon() as daemon:
        kafka.put(TOPIC, [*NO_FRAMES, *messages(2)])
        with Bridge(kafka, daemon.endpoint) as bridge:
            assert until(lambda: bridge.count.refused == len(NO_FRAMES))
            assert daemon.wait_for(2)
        assert bridge.count.sent == 100
        kafka.put(TOPIC, messages(1, 2))
        with Bridge(kafka, daemon.endpoint) as bridge:  # nor does any come again
            assert daemon.wait_for(3)
        assert bridge.count.refused == 0


def test_a_gap_is_counted() -> None:
    with brokers() as kafka, ListeningDaemon() as daemon:
        kafka.put(TOPIC, messages(2) + messages(2, 4))
        with Bridge(kafka, daemon.endpoint) as bridge:
            assert daemon.wait_for(4)
    assert (bridge.count.counted, bridge.count.sent, bridge.count.missing) == (300, 200, 100)


def test_brokers_that_are_cut_off_twice() -> None:
    with (
        brokers() as kafka,
        ListeningDaemon() as daemon,
        Bridge(kafka, daemon.endpoint) as bridge,
    ):
        for cut in (1, 2):
            kafka.put(TOPIC, messages(10, 10 * (cut - 1)))
            assert daemon.wait_for(10 * cut)
            kafka.cut_off()
            assert until(lambda: bridge.consumer.connection.away)
            kafka.back()
        kafka.put(TOPIC, messages(10, 20))
        assert daemon.wait_for(30)
        assert until(lambda: bridge.consumer.connection.reconnects == 2)
    assert [c.first for c in daemon.chunks("bed-1")] == list(range(0, 1500, SIZE))
    assert bridge.count.exact


def test_nothing_is_dropped_while_there_is_no_daemon() -> None:
    with brokers() as kafka, ListeningDaemon() as first:
        endpoint = first.endpoint
        first.stop()
        kafka.put(TOPIC, messages(1500))
        with Bridge(kafka, endpoint) as bridge:
            assert until(lambda: bridge.held > 10)
            with ListeningDaemon(endpoint) as daemon:
                assert daemon.wait_for(1500)
    assert [c.first for c in daemon.chunks("bed-1")] == list(range(0, 75_000, SIZE))
    assert (bridge.count.sent, bridge.count.unsent) == (75_000, 0)


class FullOutput:
    """A daemon whose queue is full, but for one frame in ten attempts."""

    connected, reconnects = True, 0

    def __init__(self) -> None:
        self.firsts: list[int] = []
        self._attempts = 0

    def send(self, parts: Sequence[bytes]) -> bool:
        self._attempts += 1
        if self._attempts % 10:
            return False
        self.firsts.append(decode_frame(parts).first)
        return True

    def wants(self, stream: str) -> bool:
        return True

    def wait(self, seconds: float) -> bool:
        return True

    def close(self) -> None:
        pass


def test_a_daemon_that_is_slow_slows_the_bridge() -> None:
    output = FullOutput()
    with brokers() as kafka, Bridge(kafka, output) as bridge:
        kafka.put(TOPIC, messages(20))
        assert until(lambda: len(output.firsts) == 20)
    assert output.firsts == list(range(0, 1000, SIZE))
    assert (bridge.count.sent, bridge.count.unsent) == (1000, 0)
    assert bridge.held > 20


def test_what_was_under_way_when_the_daemon_went_comes_again() -> None:
    with brokers() as kafka, ListeningDaemon() as daemon:
        kafka.put(TOPIC, messages(5))
        with Bridge(kafka, daemon.endpoint, settle_s=60.0) as bridge:
            assert daemon.wait_for(5)
            daemon.stop()
            assert until(lambda: not bridge.output.connected)
            kafka.put(TOPIC, messages(5, 5))
            with ListeningDaemon(daemon.endpoint) as back:
                assert back.wait_for(10)
    assert sorted({c.first for c in back.chunks("bed-1")}) == list(range(0, 500, SIZE))
    assert bridge.count.exact
    assert bridge.count.repeated == 250


def test_a_restart_goes_on_behind_what_was_handed_over() -> None:
    with brokers() as kafka, ListeningDaemon() as daemon:
        kafka.put(TOPIC, messages(10))
        with Bridge(kafka, daemon.endpoint):
            assert daemon.wait_for(10)
        kafka.put(TOPIC, messages(10, 10))
        with Bridge(kafka, daemon.endpoint) as bridge:
            assert daemon.wait_for(20)
    assert [c.first for c in daemon.chunks("bed-1")] == list(range(0, 1000, SIZE))
    assert bridge.count.counted == 500


def test_what_no_daemon_took_is_there_at_the_next_start() -> None:
    with brokers() as kafka, ListeningDaemon() as gone:
        endpoint = gone.endpoint
        gone.stop()
        kafka.put(TOPIC, messages(10))
        with Bridge(kafka, endpoint) as bridge:
            assert until(lambda: bridge.held > 3)
        assert bridge.count.counted == 0
        with ListeningDaemon(endpoint) as daemon, Bridge(kafka, endpoint):
            assert daemon.wait_for(10)
    assert [c.first for c in daemon.chunks("bed-1")] == list(range(0, 500, SIZE))


def heard(daemon: ListeningDaemon) -> set[tuple[str, int]]:
    chunks = map(decode_frame, list(daemon.frames))
    return {(chunk.stream, chunk.first) for chunk in chunks}


def test_two_bridges_of_one_group_share_the_streams() -> None:
    streams = [f"bed-{number}" for number in range(12)]
    with brokers() as kafka, ListeningDaemon() as daemon, Bridge(kafka, daemon.endpoint) as one:
        kafka.put(TOPIC, [m for stream in streams for m in messages(5, stream=stream)])
        assert daemon.wait_for(60)
        with Bridge(kafka, daemon.endpoint) as two:
            assert until(lambda: bool(two.consumer.partitions) and len(one.consumer.partitions) < 3)
            kafka.put(TOPIC, [m for stream in streams for m in messages(5, 5, stream=stream)])
            assert until(lambda: heard(daemon) == set(product(streams, range(0, 500, SIZE))))
            assert two.count.frames > 0
        kafka.put(TOPIC, [m for stream in streams for m in messages(5, 10, stream=stream)])
        assert until(lambda: heard(daemon) == set(product(streams, range(0, 750, SIZE))))
    assert one.count.exact
    assert two.count.exact


def test_what_has_piled_up_goes_at_its_pace_and_other_partitions_go_on() -> None:
    streams = [f"bed-{number}" for number in range(12)]  # in all three partitions
    with brokers() as kafka, ListeningDaemon() as daemon:
        kafka.put(TOPIC, messages(200, stream="late"))  # 40 s of signal
        with Bridge(kafka, daemon.endpoint, catch_up=10.0) as bridge:
            assert until(lambda: len(daemon.frames) > 20)
            kafka.put(TOPIC, [m for stream in streams for m in messages(2, stream=stream)])
            assert until(lambda: len({stream for stream, _ in heard(daemon)}) > 4)
            assert len(daemon.chunks("late")) < 200
            assert until(lambda: len(daemon.frames) == 224)
    assert [c.first for c in daemon.chunks("late")] == list(range(0, 10_000, SIZE))
    assert (bridge.count.sent, bridge.count.repeated) == (11_200, 0)
