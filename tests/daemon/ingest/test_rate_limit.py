"""Who is fast, who is held to a rate, and that no number of names takes memory without end."""

from collections import Counter

from beatgan_daemon.ingest.rate_limit import (
    LOAD_UNIT_BYTES,
    MAX_LIMITED,
    RELEASE_S,
    UNKNOWN_TOPICS,
    StreamRateLimiter,
    TokenBucket,
    load,
)

RATE = 100.0
KNOWN = frozenset({b"ecg.a", b"ecg.b"})


def frame(topic: bytes = b"ecg.a", size: int = 0) -> list[bytes]:
    return [topic, b"", bytes(size)]


def passed(flood: StreamRateLimiter, topic: bytes, count: int, since: float, seconds: float) -> int:
    return sum(flood.admits(frame(topic), since + k * seconds / count) for k in range(count))


def held(*topics: bytes) -> StreamRateLimiter:
    flood = StreamRateLimiter(RATE)
    flood.measure(Counter(dict.fromkeys(topics, 1000)), 1.0, KNOWN, 0.0)
    flood.limit_fast(0.0)
    return flood


def test_an_allowance_is_a_rate() -> None:
    allowance = TokenBucket(RATE, 0.0)
    assert not allowance.take(1, -1.0), "what waits has waited too long"
    taken = sum(allowance.take(1, k / 1000) for k in range(10_000))
    assert abs(taken - 10 * RATE) <= 2


def test_a_large_frame_passes_and_is_paid_for() -> None:
    allowance = TokenBucket(RATE, 0.0)
    assert allowance.take(500, 1.0)
    assert not allowance.take(1, 5.8)
    assert allowance.take(1, 6.0)


def test_a_frame_counts_by_its_size() -> None:
    assert load(frame(size=0)) == 1
    assert load(frame(size=3 * LOAD_UNIT_BYTES)) == 4


def test_who_sends_more_than_the_rate_is_fast() -> None:
    flood = StreamRateLimiter(RATE)
    flood.measure({b"ecg.a": 51, b"ecg.b": 50}, 0.5, KNOWN, 0.0)
    assert flood.sends_fast(b"ecg.a")
    assert not flood.sends_fast(b"ecg.b")
    assert not flood.sends_fast(b"ecg.new")
    assert flood.limit_fast(0.0) == [b"ecg.a"]
    assert flood.limit_fast(0.0) == [], "told once"


def test_the_others_pass() -> None:
    flood = held(b"ecg.a")
    assert passed(flood, b"ecg.b", 10_000, 0.0, 10.0) == 10_000
    assert abs(passed(flood, b"ecg.a", 10_000, 0.0, 10.0) - 10 * RATE) <= 2


def test_names_that_are_no_streams_share_one_allowance() -> None:
    flood = StreamRateLimiter(RATE)
    names = [b"ecg.%d" % k for k in range(100_000)]
    flood.measure(dict.fromkeys([*names, b"", b"\xff"], 1), 1.0, KNOWN, 0.0)
    assert flood.limit_fast(0.0) == [UNKNOWN_TOPICS]
    through = sum(flood.admits(frame(name), k / 10_000) for k, name in enumerate(names))
    assert abs(through - 10 * RATE) <= 2
    assert flood.admits(frame(b"ecg.a"), 10.0)


def test_no_more_are_held_than_there_is_room_for() -> None:
    flood = StreamRateLimiter(RATE)
    known = frozenset(b"ecg.%d" % k for k in range(3 * MAX_LIMITED))
    for turn in range(3):
        flood.measure(dict.fromkeys(known, 1000), 1.0, known, float(turn))
        flood.limit_fast(float(turn))
    assert len(flood.limited) == MAX_LIMITED


def test_who_is_quiet_is_let_go() -> None:
    flood = held(b"ecg.a", b"ecg.b")
    for k in range(1000):
        flood.admits(frame(b"ecg.a"), k / 100)  # just as many as it may
        flood.admits(frame(b"ecg.b"), k / 100)
        flood.admits(frame(b"ecg.b"), k / 100)
    assert flood.release_slow(KNOWN, 10.0) == [b"ecg.a"]
    assert flood.release_slow(KNOWN, 10.0 + RELEASE_S) == [b"ecg.b"]
    assert not flood.limited
