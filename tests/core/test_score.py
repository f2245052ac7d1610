"""A score's own members."""

import numpy as np
import pytest

from beatgan.beat_classes import BeatClass
from beatgan.types import Beat, Quality, Score

EMPTY = np.empty(0, np.float32)
BEAT = Beat(0, 100, 200, "II", None, Quality.GOOD, EMPTY, EMPTY, None, 0.0)


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        (None, None),
        ((0.9, 0.1, 0.0, 0.0, 0.0), BeatClass.NORMAL),
        ((0.1, 0.2, 0.4, 0.2, 0.1), BeatClass.VENTRICULAR),
        ((0.0, 0.0, 0.0, 0.0, 1.0), BeatClass.UNKNOWN),
        ((0.2, 0.3, 0.3, 0.2, 0.0), BeatClass.SUPRAVENTRICULAR),
    ],
)
def test_a_beats_class_is_the_most_probable_one_of_equals_the_first(
    probabilities: tuple[float, float, float, float, float] | None, expected: BeatClass | None
) -> None:
    score = Score(BEAT, 1.0, 0.5, EMPTY, EMPTY, probabilities)
    assert score.beat_class is expected
    assert score.with_own_arrays().beat_class is expected
