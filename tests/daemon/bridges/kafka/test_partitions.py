"""Partitions are buckets: what a producer's CRC-32 does with them."""

import pytest

from beatgan.errors import StreamError
from beatgan.protocol.buckets import BUCKETS, bucket_of
from beatgan_daemon.bridges.kafka.partitions import Partitions
from beatgan_daemon.exit_codes import StartError


@pytest.mark.parametrize("count", [1, 2, 64, 256])
def test_each_bucket_lies_in_one_partition(count: int) -> None:
    partitions = Partitions("t", count)
    found = [bucket for each in range(count) for bucket in partitions.buckets(each)]
    assert sorted(found) == list(range(BUCKETS))
    for number in range(200):
        stream = f"bed-{number}"
        (right,) = [p for p in range(count) if bucket_of(stream) in partitions.buckets(p)]
        partitions.check(stream, right)
        if count > 1:
            with pytest.raises(StreamError, match=f"belongs in {right}.*CRC-32") as refused:
                partitions.check(stream, (right + 1) % count)
            assert refused.value.reason == "partition"


@pytest.mark.parametrize("count", [0, 3, 100, 512])
def test_other_numbers_of_partitions_are_refused(count: int) -> None:
    with pytest.raises(StartError, match=f"t has {count} partitions: expected 256, or a divisor"):
        Partitions("t", count)


def test_partitions_that_were_added_are_refused() -> None:
    with pytest.raises(StartError, match="had 64 partitions, and now has more"):
        Partitions("t", 64).buckets(64)
