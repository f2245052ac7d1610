"""Of two that both tell of a bucket, one counts."""

from typing import Any

from msgspec.structs import replace

from beatgan.protocol.fences import Fences, order
from beatgan.protocol.messages import AlertMessage
from tests.support.messages import alert_message


def told(fence: int, raised_ns: int = 0, n: int = 1, **more: Any) -> AlertMessage:
    return replace(alert_message(n), fence=fence, raised_ns=raised_ns, **more)


def test_what_a_shard_tells_after_another_took_its_bucket_is_ignored_and_counted() -> None:
    fences = Fences()
    heard = [told(1), told(2), told(1), told(2), told(1), told(3)]
    assert [fences.accepts(each) for each in heard] == [True, True, False, True, False, True]
    assert fences.ignored == 2
    assert fences.accepts(told(1, stream="bed-7"))  # of another bucket
    assert fences.accepts(alert_message(1))  # of a daemon that shares nothing
    assert fences.ignored == 2


def test_an_alarm_under_way_that_is_told_again_bars_the_shard_of_before() -> None:
    fences = Fences()
    assert fences.accepts(told(2, repeat=True))
    assert not fences.accepts(told(1))


def test_a_journal_that_is_read_late_loses_nothing_of_before() -> None:
    fences = Fences()
    assert fences.accepts_journaled(told(2, raised_ns=100))
    assert fences.accepts_journaled(told(1, raised_ns=99))
    assert not fences.accepts_journaled(told(1, raised_ns=100))
    assert fences.accepts_journaled(told(1, raised_ns=101, stream="other"))
    assert fences.ignored == 1


def test_one_told_again_does_not_say_when_its_fence_began() -> None:
    fences = Fences()
    assert fences.accepts_journaled(told(2, raised_ns=10, repeat=True))
    assert fences.accepts_journaled(told(1, raised_ns=50))
    assert fences.accepts_journaled(told(2, raised_ns=60))
    assert not fences.accepts_journaled(told(1, raised_ns=70))


def test_alerts_of_one_episode_have_an_order_over_journals() -> None:
    alerts = [told(1, n=9), told(2, n=3), told(2, n=4), alert_message(5)]
    assert sorted(alerts, key=order) == [alerts[3], alerts[0], alerts[1], alerts[2]]
