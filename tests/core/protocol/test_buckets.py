"""Buckets: each stream in one, shards that share them all, topics that name them."""

from collections import Counter
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatgan.protocol.buckets import (
    ALL,
    BUCKETS,
    bucket_of,
    bucket_prefix,
    bucket_topic,
    buckets_text,
    parse_buckets,
    plain_topic,
    topic_for,
)
from beatgan.protocol.names import STREAM_CHARACTERS, stream_of_topic

NAMES = st.from_regex(rf"\A[{STREAM_CHARACTERS}]{{1,64}}\Z")


def test_a_bucket_is_the_crc_of_the_name() -> None:
    assert bucket_of("bed-7") == crc32(b"bed-7") % 256 == 0x1D
    assert bucket_topic("bed-7") == b"ecg.1d.bed-7"


@given(NAMES)
def test_both_topics_mean_the_stream(name: str) -> None:
    assert stream_of_topic(plain_topic(bucket_topic(name))) == name
    plain = b"ecg." + name.encode()
    assert plain_topic(plain) == plain
    wrong = bucket_prefix((bucket_of(name) + 1) % BUCKETS) + name.encode()
    assert stream_of_topic(plain_topic(wrong)) is None


@given(st.binary(max_size=80))
def test_any_bytes_are_a_topic_or_left_as_they_are(topic: bytes) -> None:
    found = plain_topic(topic)
    assert found == topic or (topic.startswith(b"ecg.") and found == b"ecg." + topic[7:])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 50, 256])
def test_shards_share_all_buckets(count: int) -> None:
    owned = Counter(b for n in range(count) for b in parse_buckets(f"{n}/{count}"))
    assert set(owned) == ALL
    assert set(owned.values()) == {1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("all", ALL), ("00", {0}), ("00-02,ff", {0, 1, 2, 255}), ("0A, 0b-0B", {10, 11})],
)
def test_buckets_are_listed(text: str, expected: set[int]) -> None:
    assert parse_buckets(text) == expected


@pytest.mark.parametrize("text", ["", "4/4", "0/257", "1/0", "-1/4", "3f-00", "100", "0", "a/b"])
def test_what_is_no_list_of_buckets_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|ends before"):
        parse_buckets(text)


def test_a_source_sends_under_the_topic_that_is_asked_for() -> None:
    prefix = bucket_prefix(bucket_of("bed-7"))
    other = bucket_prefix(bucket_of("bed-7") ^ 1)
    assert topic_for("bed-7", {b"ecg."}) == b"ecg.bed-7"
    assert topic_for("bed-7", {b""}) == b"ecg.bed-7"
    assert topic_for("bed-7", {prefix}) == b"ecg.1d.bed-7"
    assert topic_for("bed-7", {b"ecg.", prefix, other}) == b"ecg.1d.bed-7"
    assert topic_for("bed-7", {b"ecg.bed-7"}) == b"ecg.bed-7"
    assert topic_for("bed-7", {other}) is None
    assert topic_for("bed-7", set()) is None


@pytest.mark.parametrize("text", ["all", "0/2", "2/3", "07", "07,09", "00-3f,80", "fd-ff"])
def test_buckets_are_written_as_they_are_read(text: str) -> None:
    assert buckets_text(parse_buckets(text)) == text
    assert buckets_text(frozenset()) == "no bucket"
