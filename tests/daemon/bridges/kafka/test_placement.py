"""Kafka's rebalance edits the map: the shard beside a bridge has its partitions' buckets."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import numpy as np
import pytest
import zmq

from beatgan.errors import BeatganError, UsageError
from beatgan.protocol.buckets import BUCKETS, bucket_of, bucket_prefix, plain_topic
from beatgan.protocol.control import StreamEntry
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk
from beatgan_daemon.bridges.counts import SignalCount
from beatgan_daemon.bridges.frame_body import frame_body
from beatgan_daemon.bridges.kafka.client_settings import BESIDE_A_SHARD, CONSUMER
from beatgan_daemon.bridges.kafka.consumer import KafkaConsumer
from beatgan_daemon.bridges.kafka.ecg_in import EcgIn, PatientOutput
from beatgan_daemon.bridges.kafka.membership import Membership
from beatgan_daemon.bridges.kafka.pace import Pace
from beatgan_daemon.bridges.kafka.placement import Placement
from beatgan_daemon.bridges.signal_in import SignalIn
from beatgan_daemon.clients.client import NoAnswerError
from beatgan_daemon.clients.frame_output import DaemonOutput
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.sharding.claims import write_claims
from beatgan_daemon.sharding.draining import write_draining
from beatgan_daemon.sharding.shard_map import ShardMap, read_map, write_map
from benchmarks.robustness.bridges.kafka_brokers import KafkaBrokers
from tests.support.actions import entry

TOPIC = "beatgan.v1.ecg"
PATIENCE_S = 40.0  # the mock broker lets a group's members wait for one another's time-outs
SIZE = 50
STREAMS = [f"bed-{number}" for number in range(24)]


def until(enough: Callable[[], bool]) -> bool:
    end = monotonic() + PATIENCE_S
    while not enough() and monotonic() < end:
        sleep(0.02)
    return enough()


def message(stream: str, number: int) -> tuple[bytes, bytes]:
    samples = np.full((SIZE, 1), number % 7, np.float32)
    chunk = Chunk(stream, 1, 0, number * SIZE, 10**18, 250.0, ("II",), samples)
    return stream.encode(), frame_body(encode_frame(chunk))


class Shard:
    """As a shard's ingest socket: subscribed to what the map says."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory, self.name = directory, name
        self.frames: list[tuple[str, int]] = []
        self._ready, self._over = Event(), Event()
        self._thread = Thread(target=self._run)

    def _run(self) -> None:
        had: set[int] = set()
        (self.directory / self.name).mkdir(exist_ok=True)
        with zmq.Context[zmq.Socket[bytes]]() as context, context.socket(zmq.SUB) as socket:
            socket.linger = 0
            socket.bind("tcp://127.0.0.1:*")
            self.endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)
            self._ready.set()
            while not self._over.is_set():
                has = set(read_map(self.directory).fences_of(self.name))
                for bucket in has - had:
                    socket.subscribe(bucket_prefix(bucket))
                for bucket in had - has:
                    socket.unsubscribe(bucket_prefix(bucket))
                if had != has:
                    fences = read_map(self.directory).fences_of(self.name)
                    write_claims(self.directory / self.name, {b: fences[b] for b in has})
                had = has
                end = monotonic() + 0.1
                while socket.poll(max(0, round(1000 * (end - monotonic())))):
                    topic, *rest = socket.recv_multipart()
                    chunk = decode_frame([plain_topic(topic), *rest])
                    self.frames.append((chunk.stream, chunk.first // SIZE))

    def __enter__(self) -> "Shard":
        self._thread.start()
        assert self._ready.wait(5.0)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


class Bridge:
    """The command beside a shard, in a thread."""

    def __init__(self, brokers: KafkaBrokers, shard: Shard, away_s: float = 60.0) -> None:
        self._settings = {
            **CONSUMER,
            **BESIDE_A_SHARD,
            "auto.commit.interval.ms": 100,
            "bootstrap.servers": brokers.address,
            "group.id": "beatgan",
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 200,
        }
        self._shard, self._away_s = shard, away_s
        self.known: Callable[[], list[StreamEntry]] = list
        self.count = SignalCount()
        self.consumer: KafkaConsumer | None = None
        self.failed: BeatganError | None = None
        self._over = Event()
        self._thread = Thread(target=self._run)

    def _run(self) -> None:
        try:
            self._loop()
        except BeatganError as error:
            self.failed = error

    def _loop(self) -> None:
        output = PatientOutput(DaemonOutput(connect=self._shard.endpoint))
        consumer = self.consumer = KafkaConsumer(self._settings, TOPIC, 30.0)
        placement = Placement(self._shard.directory / self._shard.name)
        membership = Membership(consumer, placement, TOPIC, self.known, self._away_s)
        signal = SignalIn(output)
        self.count = signal.count
        taker = EcgIn(consumer, signal, output, Pace(1e9), membership)

        def hold() -> bool:
            consumer.hold()
            output.wait(0.02)
            taker.attend()
            return consumer.joined and not self._over.is_set()

        output.hold = hold
        try:
            while not self._over.is_set():
                taker.turn()
                fetched = consumer.next(0.05)
                if fetched is not None:
                    taker.take(fetched)
        finally:
            taker.close()

    @property
    def partitions(self) -> set[int]:
        return set() if self.consumer is None else set(self.consumer.partitions)

    def __enter__(self) -> "Bridge":
        self._thread.start()
        return self

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def __exit__(self, *_: object) -> None:
        self.stop()
        assert self.failed is None


@contextmanager
def shards(directory: Path, *names: str) -> Iterator[list[Shard]]:
    write_map(directory, ShardMap.even(names))
    found = [Shard(directory, name) for name in names]
    try:
        yield [each.__enter__() for each in found]
    finally:
        for each in found:
            each.stop()


def test_a_placement_needs_a_map_and_a_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="map: cannot be read"):
        Placement(tmp_path / "one")
    write_map(tmp_path, ShardMap.even(["one", "two"]))
    with pytest.raises(UsageError, match="expected letters, digits"):
        Placement(tmp_path / "o.ne")


def test_buckets_are_taken_under_a_new_fence_those_it_has_are_left(tmp_path: Path) -> None:
    write_map(tmp_path, ShardMap.even(["one", "two"]))
    Placement(tmp_path / "one").take([0, 1])
    after = read_map(tmp_path).assignments
    assert [*after[:3]] == [("one", 1), ("one", 2), ("one", 1)]
    before = (tmp_path / "map").stat().st_ino
    Placement(tmp_path / "one").take([0, 1])
    assert (tmp_path / "map").stat().st_ino == before


def test_a_rebalance_moves_buckets_and_loses_no_frame(tmp_path: Path) -> None:
    """Two bridges of one group at the mock broker, one of which comes later and leaves again."""
    expected = {(stream, number) for stream in STREAMS for number in range(9)}
    with KafkaBrokers(TOPIC, partitions=BUCKETS) as kafka, shards(tmp_path, "one", "two") as (a, b):

        def put(begin: int, end: int) -> None:
            kafka.put(TOPIC, [message(s, n) for n in range(begin, end) for s in STREAMS])

        put(0, 3)
        with Bridge(kafka, a) as one:
            assert until(lambda: len(set(a.frames)) == 3 * len(STREAMS))
            assert read_map(tmp_path).shards() == ["one"]
            with Bridge(kafka, b) as two:
                assert until(lambda: len(one.partitions) == len(two.partitions) == BUCKETS // 2)
                assert until(lambda: set(read_map(tmp_path).fences_of("one")) == one.partitions)
                assert set(read_map(tmp_path).fences_of("two")) == two.partitions
                put(3, 6)
                assert until(lambda: len({*a.frames, *b.frames}) == 6 * len(STREAMS))
                assert {bucket_of(stream) for stream, n in b.frames if n > 2} <= two.partitions
                assert any(n > 2 for _, n in b.frames)
            assert until(lambda: len(one.partitions) == BUCKETS)
            put(6, 9)
            assert until(lambda: {*a.frames, *b.frames} == expected)
        assert read_map(tmp_path).shards() == ["one"]
    assert one.count.refused == two.count.refused == 0


def test_a_shard_that_is_away_gives_its_partitions_up(tmp_path: Path) -> None:
    with KafkaBrokers(TOPIC, partitions=16) as kafka, shards(tmp_path, "one", "two") as (a, b):
        with Bridge(kafka, a, away_s=0.5) as one, Bridge(kafka, b, away_s=60.0) as two:
            assert until(lambda: len(one.partitions) == len(two.partitions) == 8)
            a.stop()
            assert until(lambda: len(two.partitions) == 16)
            assert not one.partitions
        assert read_map(tmp_path).shards() == ["two"]


def test_a_shard_that_is_drained_gives_its_partitions_up_and_takes_some_again(
    tmp_path: Path,
) -> None:
    with KafkaBrokers(TOPIC, partitions=16) as kafka, shards(tmp_path, "one") as (a,):
        write_draining(tmp_path, ["one"])
        with Bridge(kafka, a) as one:
            sleep(1.0)
            assert not one.partitions
            write_draining(tmp_path, [])
            assert until(lambda: len(one.partitions) == 16)
            write_draining(tmp_path, ["one"])
            assert until(lambda: not one.partitions)


def test_what_a_shard_was_given_lately_is_not_committed_while_it_is_away(tmp_path: Path) -> None:
    with KafkaBrokers(TOPIC, partitions=16) as kafka, shards(tmp_path, "one", "two") as (a, b):
        kafka.put(TOPIC, [message(stream, 0) for stream in STREAMS])
        with Bridge(kafka, a, away_s=0.2) as one:
            assert until(lambda: len(a.frames) == len(STREAMS))
            a.stop()
            assert until(lambda: not one.partitions)
        with Bridge(kafka, b):
            assert until(lambda: len(b.frames) == len(STREAMS))


def test_what_the_shard_says_that_it_has_is_not_sent(tmp_path: Path) -> None:
    with KafkaBrokers(TOPIC, partitions=16) as kafka, shards(tmp_path, "one") as (a,):
        kafka.put(TOPIC, [message("bed-1", number) for number in range(6)])
        bridge = Bridge(kafka, a)
        bridge.known = lambda: [entry("bed-1", epoch=1, next_sample=4 * SIZE + 1)]
        with bridge:
            assert until(lambda: len(a.frames) == 2)
    assert a.frames == [("bed-1", 4), ("bed-1", 5)]
    assert (bridge.count.repeated, bridge.count.sent, bridge.count.exact) == (200, 100, True)


def test_a_shard_that_does_not_answer_is_sent_nothing(tmp_path: Path) -> None:
    answers: list[bool] = []

    def streams() -> list[StreamEntry]:
        answers.append(len(answers) >= 5)
        if not answers[-1]:
            raise NoAnswerError("nobody answers")
        return []

    with KafkaBrokers(TOPIC, partitions=16) as kafka, shards(tmp_path, "one") as (a,):
        kafka.put(TOPIC, [message("bed-1", 0)])
        bridge = Bridge(kafka, a)
        bridge.known = streams
        with bridge:
            assert until(lambda: len(answers) == 3)
            assert a.frames == []
            assert until(lambda: len(a.frames) == 1)


def test_a_message_in_another_partition_than_its_buckets_is_refused(tmp_path: Path) -> None:
    from confluent_kafka import Producer

    with KafkaBrokers(TOPIC, partitions=16) as kafka, shards(tmp_path, "one") as (a,):
        producer = Producer({"bootstrap.servers": kafka.address, "log_level": 0})
        for stream in STREAMS:
            key, value = message(stream, 0)
            partition = bucket_of(stream) % 16
            producer.produce(TOPIC, value, key, partition=(partition + 1) % 16)
            key, value = message(stream, 1)
            producer.produce(TOPIC, value, key, partition=partition)
        assert producer.flush(PATIENCE_S) == 0
        with Bridge(kafka, a) as bridge:
            assert until(lambda: len(a.frames) + bridge.count.refused == 2 * len(STREAMS))
    assert {number for _, number in a.frames} == {1}
    assert bridge.count.refused == len(STREAMS)


def test_a_topic_with_an_unfit_number_of_partitions_ends_the_bridge(tmp_path: Path) -> None:
    with KafkaBrokers(TOPIC, partitions=12) as kafka, shards(tmp_path, "one") as (a,):
        bridge = Bridge(kafka, a)
        bridge.__enter__()
        assert until(lambda: bridge.failed is not None)
        bridge.stop()
    assert isinstance(bridge.failed, StartError)
    assert "has 12 partitions: expected 256, or a divisor" in str(bridge.failed)


def test_a_map_that_cannot_be_edited_ends_the_bridge(tmp_path: Path) -> None:
    with KafkaBrokers(TOPIC, partitions=16) as kafka, shards(tmp_path, "one") as (a,):
        (tmp_path / "map.lock").mkdir()
        bridge = Bridge(kafka, a)
        bridge.__enter__()
        assert until(lambda: bridge.failed is not None)
        bridge.stop()
    assert isinstance(bridge.failed, UsageError)


def test_librdkafkas_partitioners_are_ours() -> None:
    from confluent_kafka import Producer

    wrong: list[object] = []

    def told(error: object, sent: object) -> None:
        place = bucket_of(sent.key().decode()), sent.partition()  # type: ignore[attr-defined]
        if error is not None or place[0] != place[1]:
            wrong.append((error, place))

    with KafkaBrokers(TOPIC, partitions=BUCKETS) as kafka:
        for partitioner in ("consistent", "consistent_random"):
            settings = {"bootstrap.servers": kafka.address, "partitioner": partitioner}
            producer = Producer({**settings, "log_level": 0})
            for number in range(1000):
                producer.produce(TOPIC, b"x", f"bed-{number}".encode(), on_delivery=told)
            assert producer.flush(PATIENCE_S) == 0
    assert wrong == []
