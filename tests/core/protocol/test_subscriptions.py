"""Which beats are wanted, from subscriptions that come and go."""

import pytest

from beatgan.protocol import subscriptions
from beatgan.protocol.names import BEAT_BATCH, topic_of
from beatgan.protocol.subscriptions import (
    BeatSubscriptions,
    FrameSubscriptions,
    WantedBeats,
    covered,
)

TOPICS = (b"alert.bed-1", b"alert.", b"beat.bed-1", b"beat.b", b"status.bed-1")
PREFIXES = sorted({topic[:n] for topic in (*TOPICS, BEAT_BATCH) for n in range(len(topic) + 1)})


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_subscription_covers_its_topics_and_batches_only_if_they_alone_are_meant(
    prefix: bytes,
) -> None:
    sent = tuple(covered(prefix))
    others = [topic for topic in TOPICS if topic.startswith(prefix)]
    assert [topic for topic in TOPICS if topic.startswith(sent)] == others
    assert BEAT_BATCH.startswith(sent) == (BEAT_BATCH.startswith(prefix) and not others)


def test_nothing_is_sent_for_what_is_no_topic() -> None:
    assert topic_of("status", 64 * "x") in covered(topic_of("status", 64 * "x"))
    for prefix in (b"beats", b"x", b"alerts", b"status." + 65 * b"x", b"beat.bed 7"):
        assert list(covered(prefix)) == []


@pytest.mark.parametrize("prefix", PREFIXES)
def test_wanted_is_what_is_sent_for_it(prefix: bytes) -> None:
    known = BeatSubscriptions()
    known.add(prefix, 1)
    sent = tuple(covered(prefix))
    for topic in TOPICS:
        if topic.startswith(b"beat."):
            assert known.wanted.singly(topic) == topic.startswith(sent)
    assert known.wanted.batched == BEAT_BATCH.startswith(sent)
    known.remove(prefix, 1)
    assert known.wanted == WantedBeats()
    assert known.bytes == 0


def test_the_last_one_ends_it_whoever_says_so() -> None:
    known = BeatSubscriptions()
    for connection in (1, 2, 3):
        known.add(b"beat.", connection)
    known.remove(b"beat.", 2)
    known.remove(b"beat.", None)  # one of the others is gone
    assert known.wanted == WantedBeats((b"beat.",))
    known.remove(b"beat.", None)
    assert known.wanted == WantedBeats()


def test_what_was_never_subscribed_to_ends_nothing() -> None:
    known = BeatSubscriptions()
    known.add(b"beat.", 1)
    for _ in range(3):
        known.remove(b"beat.", 2)
        known.remove(b"beat.a", 1)
    assert known.wanted == WantedBeats((b"beat.",))
    known.add(b"beat.", 2)
    known.remove(b"beat.", None)  # 1 or 2: so nobody can be believed any more
    known.remove(b"beat.", 1)
    assert known.wanted == WantedBeats((b"beat.",))
    known.remove(b"beat.", None)
    assert known.wanted == WantedBeats()


def test_of_many_topics_all_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MAX_PREFIXES", 3)
    known = BeatSubscriptions()
    for number in range(3):
        known.add(b"beat.bed-%d" % number, 1)
    assert known.wanted.singly(b"beat.bed-2")
    assert not known.wanted.singly(b"beat.bed-3")
    known.add(b"beat.bed-4", 1)
    assert known.wanted.singly(b"beat.bed-3")
    known.remove(b"beat.bed-4", 1)
    assert not known.wanted.singly(b"beat.bed-3")


def test_frames_are_wanted_by_any_prefix_of_their_topic() -> None:
    known = FrameSubscriptions()
    assert not known.wants(b"ecg.bed-1")
    for prefix in (b"ecg.bed-1", b"ecg.icu:", b"ecg.bed-1", b"beat.", b"ecg.b d"):
        known.add(prefix, None)
    assert [
        topic
        for topic in (
            b"ecg.bed-1",
            b"ecg.bed-12",
            b"ecg.bed-2",
            b"ecg.bed",
            b"ecg.icu:3",
            b"ecg.b d",
        )
        if known.wants(topic)
    ] == [b"ecg.bed-1", b"ecg.bed-12", b"ecg.icu:3"]
    known.remove(b"ecg.bed-1", None)
    assert known.wants(b"ecg.bed-1"), "somebody else still is"
    known.remove(b"ecg.bed-1", None)
    assert not known.wants(b"ecg.bed-1")
    known.remove(b"ecg.bed-1", None)  # of one who never was
    known.add(b"", None)
    assert known.wants(b"ecg.bed-1")
    known.clear()
    assert not known.wants(b"ecg.icu:3")
