"""A shard that does not serve a bucket is sent nothing of it, and somebody is told."""

from pathlib import Path

import structlog

from beatgan.protocol.buckets import bucket_of
from beatgan_daemon.bridges.kafka.consumer import KafkaConsumer
from beatgan_daemon.bridges.kafka.membership import LATE_S, Membership
from beatgan_daemon.bridges.kafka.placement import Placement
from beatgan_daemon.sharding.claims import write_claims
from beatgan_daemon.sharding.shard_map import ShardMap, write_map


def test_a_bucket_that_is_not_served_is_waited_for_and_told(tmp_path: Path) -> None:
    write_map(tmp_path, ShardMap.even(["one"]))
    (tmp_path / "one").mkdir()
    consumer = KafkaConsumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "g"}, "t")
    with structlog.testing.capture_logs() as logged:
        membership = Membership(consumer, Placement(tmp_path / "one"), "t", list)
        assert not membership.ready("bed-1", 1.0)
        assert not membership.ready("bed-1", 2.0)
        assert logged == []
        assert not membership.ready("bed-1", 1.5 + LATE_S)
    (line,) = logged
    assert line["event"] == "frames wait"
    assert f"does not serve bucket {bucket_of('bed-1'):02x}" in line["why"]
    write_claims(tmp_path / "one", {bucket_of("bed-1"): 1})
    assert membership.ready("bed-1", 2.0 + LATE_S)
    assert not membership.ready("bed-2", 3.0 + LATE_S)
    consumer.close()
