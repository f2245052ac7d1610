"""One LSL stream whose stamps and rate are not what they should be."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from beatgan.errors import StreamError
from beatgan.types import Chunk
from beatgan_daemon.bridges.lsl.description import Description
from beatgan_daemon.bridges.lsl.source import LslSource

pytest.importorskip("pylsl", reason="no pylsl")
FS = 250.0
DESCRIPTION = Description("bed", FS, ("II",), (0,), np.array([0.001]))


class FakeInlet:
    """Gives what it is given, once."""

    def __init__(self, *chunks: NDArray[np.float64]) -> None:
        self._chunks = [*chunks]

    def was_clock_reset(self) -> bool:
        return False

    def time_correction(self, timeout: float) -> float:
        return 0.0

    def pull_chunk(self, timeout: float, most: int, as_numpy: bool) -> tuple[Any, Any]:
        stamps = self._chunks.pop(0) if self._chunks else np.empty(0)
        return np.ones((len(stamps), 1), np.float32), stamps


def stamps(seconds: float, fs: float) -> list[NDArray[np.float64]]:
    """In pieces of 0.1 s."""
    whole = 1000.0 + np.arange(round(seconds * fs)) / fs
    return np.array_split(whole, round(10 * seconds))


def all_of(source: LslSource) -> list[Chunk]:
    return [chunk for _ in range(400) for chunk in source.pull()]


def test_a_rate_that_is_far_off_is_refused_with_what_to_give() -> None:
    source = LslSource(FakeInlet(*stamps(40.0, 0.99 * FS)), DESCRIPTION)
    with pytest.raises(StreamError, match=r"247\.50 samples a second come, .* give --fs 247\.5"):
        all_of(source)


def test_a_rate_that_is_a_little_off_is_told_once(
    logged: Callable[[], list[dict[str, Any]]],
) -> None:
    source = LslSource(FakeInlet(*stamps(40.0, 1.003 * FS)), DESCRIPTION)
    assert sum(len(chunk.samples) for chunk in all_of(source)) == round(40 * 1.003 * FS)
    (told,) = [line for line in logged() if line["event"] == "true rate"]
    assert told["measured"] == pytest.approx(1.003 * FS, rel=1e-4)


@pytest.mark.parametrize("stamp", [np.nan, np.inf])
def test_stamps_that_are_no_numbers_are_refused(stamp: float) -> None:
    source = LslSource(FakeInlet(np.array([1000.0, stamp])), DESCRIPTION)
    with pytest.raises(StreamError, match="no number"):
        source.pull()
