"""Who is served next, by the time that each stream took, and who is told to have taken too much."""

from collections import Counter
from collections.abc import Iterable, Mapping

import pytest

from beatgan_daemon.ingest import fair_queue
from beatgan_daemon.ingest.fair_queue import AT_ONCE, AT_ONCE_S, OTHERS, TOLERATED, FairQueue, Frame


def frame(topic: bytes, arrived: float = 0.0, connection: int = 1) -> Frame:
    return Frame([topic], arrived, arrived, size=1, connection=connection)


def everybody(_: bytes) -> bool:
    return True


def fill(queue: FairQueue, topics: Iterable[bytes], arrived: float = 0.0, by: int = 1) -> None:
    for topic in topics:
        queue.append(frame(topic, arrived, by))


def served(queue: FairQueue, cost: Mapping[bytes, float], seconds: float) -> Counter[bytes]:
    """The time that each topic has, in so many seconds of service."""
    now, found = 0.0, Counter[bytes]()
    while now < seconds and (taken := queue.take()) is not None:
        topic = taken.parts[0]
        now += cost[topic]
        queue.charge(cost[topic], now)
        found[topic] += 1
    return found


def test_where_nobody_took_time_it_is_first_come_first_served() -> None:
    queue = FairQueue(everybody)
    topics = [b"%d" % (k % 3) for k in range(9)]
    fill(queue, topics)
    assert len(queue) == 9
    taken = [queue.take() for _ in range(10)]
    assert [each.parts[0] for each in taken if each is not None] == topics
    assert taken[-1] is None


def test_what_is_soon_taken_is_taken_as_it_came() -> None:
    """But for time that is worth sharing out: then turns begin with all that still waits."""
    queue = FairQueue(everybody)
    fill(queue, [*3 * [b"hog"], b"bed", b"hog"])
    order = []
    for cost in (AT_ONCE_S / 2, AT_ONCE_S, 1e-3, 1e-3, 1e-3):
        taken = queue.take()
        assert taken is not None
        queue.charge(cost, 0.0)
        order.append(taken.parts[0])
    assert order == [b"hog", b"hog", b"bed", b"hog", b"hog"]


def test_where_many_wait_turns_begin_at_once() -> None:
    queue = FairQueue(everybody)
    fill(queue, AT_ONCE * [b"hog"])
    fill(queue, [b"bed"])
    assert len(queue) == AT_ONCE + 1
    assert queue.oldest() == (0.0, 0.0)
    had = []
    for _ in range(3):
        taken = queue.take()
        assert taken is not None
        queue.charge(1e-5, 0.0)
        had.append(taken.parts[0])
    assert had.count(b"bed") == 1


def test_what_is_taken_as_it_came_counts_as_well() -> None:
    """Who took much before others waited is known when they do."""
    queue = FairQueue(everybody)
    for name, seconds in ((b"hog", 0.4), (b"bed", 0.01)):
        fill(queue, [name])
        queue.take()
        queue.charge(seconds, 1.0)
        assert queue.take() is None
    assert queue.active(1.0) == [b"hog", b"bed"]
    fill(queue, [b"hog", b"hog"], arrived=1.0)
    assert queue.greedy(2.0, 0.5) == frozenset(), "two are no crowd: half of both is usual"
    fill(queue, [b"bed-2"], arrived=1.0)
    queue.take()
    assert queue.greedy(2.0, 0.5) == {b"hog"}


def test_shares_are_of_time_not_of_frames_and_what_is_left_goes_to_the_others() -> None:
    queue = FairQueue(everybody)
    cost = {b"small": 0.001, b"dear": 0.1, b"cheap": 0.01}
    fill(queue, 100 * [b"small"])  # 0.1 s, less than a third
    for _ in range(1000):
        fill(queue, [b"dear", b"cheap"])
    had = served(queue, cost, 4.1)
    assert had[b"small"] == 100
    assert had[b"dear"] * 0.1 == pytest.approx(2.0, abs=0.2)
    assert had[b"cheap"] * 0.01 == pytest.approx(2.0, abs=0.2)


def test_who_needs_little_waits_for_one_frame_at_most() -> None:
    queue = FairQueue(everybody)
    for _ in range(100):
        fill(queue, [b"hog-%d" % k for k in range(190)])
    for k in range(1000):
        queue.take()
        queue.charge(0.01 + 1e-6 * k, 0.0)
    fill(queue, [b"bed"], by=2)
    taken = [queue.take() for _ in range(2)]
    assert b"bed" in [each.parts[0] for each in taken if each is not None]


def test_many_streams_of_one_sender_do_not_crowd_out_another() -> None:
    queue = FairQueue(everybody)
    names = [b"hog-%d" % k for k in range(100)]
    fill(queue, 1000 * [b"bed"], by=2)
    for _ in range(100):
        fill(queue, names)
    cost = dict.fromkeys([b"bed", *names], 0.01)
    had = served(queue, cost, 10.0)
    share = 1000 / 11  # as 1 to the root of 100
    assert 0.8 * share < had[b"bed"] < TOLERATED * share * 1.2


def test_many_new_streams_have_as_many_turns_as_those_that_are_known() -> None:
    """A ward that is switched on while there is hardly time enough."""
    known, new = [b"bed-%d" % k for k in range(100)], [b"new-%d" % k for k in range(100)]
    queue = FairQueue(set(known).__contains__)
    for _ in range(10):
        fill(queue, [*known, *new])
    had = served(queue, dict.fromkeys([*known, *new], 0.01), 10.0)
    assert sum(had[each] for each in new) == pytest.approx(500, rel=0.2)


def test_who_takes_somewhat_more_than_others_waits_no_longer() -> None:
    """A fast heart; a burst of events: of many streams none is held back for that."""
    names = [b"bed-%d" % k for k in range(50)]
    cost = {name: 0.01 if k % 2 else 0.02 for k, name in enumerate(names)}
    queue, now = FairQueue(everybody), 0.0
    for second in range(100):
        fill(queue, names, arrived=float(second))
        while now < second + 0.7 and (taken := queue.take()) is not None:  # 0.75 are wanted
            now += cost[taken.parts[0]]
            queue.charge(cost[taken.parts[0]], now)
        now = max(now, second + 1.0)
    longest = max(Counter(frame.parts[0] for frame in queue).values())
    assert longest <= 1.5 * len(queue) / len(names), "all wait alike"


def test_a_time_in_which_nobody_waits_makes_all_equal() -> None:
    queue = FairQueue(everybody)
    fill(queue, [b"a", b"b"])
    queue.take()
    queue.charge(0.3, 0.0)
    queue.take()
    queue.charge(0.001, 0.0)
    assert queue.take() is None
    fill(queue, [b"a", b"b"])
    first = queue.take()
    assert first is not None
    assert first.parts[0] == b"a"


def test_topics_that_are_no_streams_share_a_line_until_they_are() -> None:
    known: set[bytes] = set()
    queue = FairQueue(known.__contains__)
    fill(queue, [b"new", b"junk", b"new"])
    known.add(b"new")
    fill(queue, [b"new"])  # must not overtake those among the others
    order = []
    while (taken := queue.take()) is not None:
        order.append(taken.parts[0])
        queue.charge(0.1, 0.0)
    assert order == [b"new", b"junk", b"new", b"new"]
    fill(queue, [b"junk", b"new"])
    queue.take()
    queue.charge(0.1, 0.0)
    assert queue.greedy(9.0, 1.0) <= {OTHERS, b"new"}
    assert b"new" in queue.active(0.0)


def test_who_takes_far_more_than_others_is_greedy() -> None:
    queue = FairQueue(everybody)
    for name, seconds in ((b"hog", 0.4), (b"bed-1", 0.01), (b"bed-2", 0.02)):
        fill(queue, [name])
        queue.take()
        queue.charge(seconds, 1.0)
    fill(queue, [b"bed-1", b"hog"], arrived=1.0)
    assert queue.greedy(1.2, 0.5) == frozenset()
    assert queue.greedy(2.0, 0.5) == {b"hog"}
    assert queue.greedy(1.0 + 2 * fair_queue.MEMORY_S, 0.5) == frozenset(), "nobody lately"
    assert queue.drop({b"hog"}.__contains__) == 1
    assert [each.parts[0] for each in queue] == [b"bed-1"]


def test_senders_none_of_whose_frames_wait_long_are_told() -> None:
    queue = FairQueue(everybody)
    fill(queue, [b"odd-1", b"odd-2"], arrived=0.0, by=1)
    fill(queue, [b"bed-1"], arrived=2.0, by=2)
    assert queue.late_senders(2.1, 0.5) == {1}
    assert queue.lines_of({1}) == {b"odd-1", b"odd-2"}
    assert queue.senders() == {1, 2}
    assert queue.oldest() == (0.0, 0.0)


def test_what_is_dropped_is_counted_and_order_stays() -> None:
    queue = FairQueue(everybody)
    fill(queue, [b"a", b"b", b"a", b"c"])
    assert queue.drop(lambda line: line == b"a") == 2
    assert queue.retain(lambda each: each.parts[0] != b"b") == 1
    fill(queue, [b"b"], arrived=3.0)
    assert (len(queue), queue.oldest()) == (2, (0.0, 0.0))
    rest = [queue.take(), queue.take()]
    assert [each.parts[0] for each in rest if each is not None] == [b"c", b"b"]
    assert queue.oldest() is None


def test_lines_of_streams_that_are_gone_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "MAX_LINES", 10)
    queue = FairQueue(everybody)
    queue._look_through = 10
    for k in range(1000):
        fill(queue, [b"%d" % k], arrived=10.0 * k)
        queue.take()
        queue.charge(0.01, 10.0 * k)
    assert len(queue._lines) <= 20
