"""What a shard has already is not sent again, and what it has not always is."""

from beatgan.protocol.frame_header import FrameExtent
from beatgan_daemon.bridges.kafka.known_samples import KnownSamples
from tests.support.actions import entry

FS = 250.0
NOW_NS = 1_790_000_000 * 10**9


def frame(first: int, epoch: int = 7, t_ns: int = NOW_NS) -> FrameExtent:
    return FrameExtent("bed", epoch, first, 50, FS, t_ns)


def known() -> KnownSamples:
    bed = entry("bed", epoch=7, next_sample=120, last_sample_ns=NOW_NS)
    return KnownSamples([bed])


def test_frames_before_the_next_sample_are_known() -> None:
    shard = known()
    assert [shard.has(frame(first)) for first in (0, 50, 70, 100)] == [True, True, True, False]


def test_behind_the_first_that_is_not_known_none_is() -> None:
    shard = known()
    assert not shard.has(frame(100))
    assert not shard.has(frame(0))


def test_an_earlier_epoch_is_known_and_a_later_one_is_not() -> None:
    shard = known()
    assert shard.has(frame(9_000, epoch=6, t_ns=NOW_NS - 10**9))
    assert shard.has(frame(0))
    assert not shard.has(frame(0, epoch=8, t_ns=NOW_NS + 10**9))


def test_of_other_streams_nothing_is_known() -> None:
    assert not KnownSamples().has(frame(0))
