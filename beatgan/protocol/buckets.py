"""Buckets of streams: by its name each stream is in one of 256, and a shard serves some of them.

A source may send a stream under ``ecg.BB.STREAM``, with its bucket in two hexadecimal digits, so
that who serves some buckets subscribes to these alone (docs/protocol.md).
"""

import re
from collections.abc import Set
from typing import Final
from zlib import crc32

from beatgan.protocol.names import ECG, topic_of

BUCKETS: Final = 256
ALL: Final = frozenset(range(BUCKETS))
_POINT: Final = len(ECG) + 2  # where the second point stands; no stream's name has one
_SHARD: Final = re.compile(r"(\d{1,3})/(\d{1,3})")
_RANGE: Final = re.compile(r"([0-9a-f]{2})(?:-([0-9a-f]{2}))?")


def bucket_of(stream: str) -> int:
    """The stream's bucket, 0 to 255: the CRC-32 of its name, modulo BUCKETS."""
    return crc32(stream.encode("ascii")) % BUCKETS


def bucket_prefix(bucket: int) -> bytes:
    """What the topics of all streams in this bucket begin with."""
    return b"%b%02x." % (ECG, bucket)


def bucket_topic(stream: str) -> bytes:
    """The topic of a stream's frames that names its bucket."""
    return bucket_prefix(bucket_of(stream)) + stream.encode("ascii")


def plain_topic(topic: bytes) -> bytes:
    """``ecg.STREAM`` for ``ecg.BB.STREAM``; any other topic, or of a wrong bucket, as it is."""
    if topic[_POINT : _POINT + 1] != b"." or not topic.startswith(ECG):
        return topic
    name = topic[_POINT + 1 :]
    if topic[:_POINT] != b"%b%02x" % (ECG, crc32(name) % BUCKETS):
        return topic
    return ECG + name


def topic_for(stream: str, subscriptions: Set[bytes]) -> bytes | None:
    """Under which topic somebody takes the stream's frames; None where nobody takes them.

    That with the bucket where somebody subscribed to it: who takes all takes that, too.
    """
    if bucket_prefix(bucket_of(stream)) in subscriptions:
        return bucket_topic(stream)
    plain = topic_of("ecg", stream)
    return plain if any(map(plain.startswith, subscriptions)) else None


def parse_buckets(text: str) -> frozenset[int]:
    """The buckets that ``text`` means: ``all``; ``N/M``, shard N of M, from 0; or ``00-3f,80``.

    Raises ValueError saying what was expected.
    """
    if text == "all":
        return ALL
    if shard := _SHARD.fullmatch(text):
        number, count = int(shard[1]), int(shard[2])
        if not number < count <= BUCKETS:
            raise ValueError(f"shard {text}: expected N/M with N from 0 to M - 1, M up to 256")
        return frozenset(range(number, BUCKETS, count))
    return frozenset().union(*(_range(part.strip()) for part in text.split(",")))


def buckets_text(buckets: Set[int]) -> str:
    """What `parse_buckets` reads, as short as it can be; "no bucket" for none."""
    if not buckets:
        return "no bucket"
    if buckets == ALL:
        return "all"
    first, count = min(buckets), round(BUCKETS / len(buckets))
    if len(buckets) > 2 and buckets == set(range(first, BUCKETS, count)) and first < count:
        return f"{first}/{count}"
    runs: list[list[int]] = []
    for bucket in sorted(buckets):
        if runs and bucket == runs[-1][-1] + 1:
            runs[-1].append(bucket)
        else:
            runs.append([bucket])
    return ",".join(
        f"{run[0]:02x}" if len(run) == 1 else f"{run[0]:02x}-{run[-1]:02x}" for run in runs
    )


def _range(text: str) -> frozenset[int]:
    found = _RANGE.fullmatch(text.lower())
    if not found:
        raise ValueError(f"buckets {text!r}: expected all, N/M, or as 00-3f,80")
    first, last = int(found[1], 16), int(found[2] or found[1], 16)
    if last < first:
        raise ValueError(f"buckets {text!r}: ends before it begins")
    return frozenset(range(first, last + 1))
