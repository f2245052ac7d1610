"""Whether a stream has shown its patient's own beats: before that, its rhythm is hard to tell.

Electrodes are put on, hands move, and nobody knows yet what is usual. So an alarm may ask for more
of a young stream.
"""

from beatgan.types import Quality, Score

GOOD = Quality.GOOD  # looked up once: each beat is held against it


def is_own(score: Score) -> bool:
    """Whether a beat is one of the patient's usual ones: of good signal, and not anomalous."""
    usual = score.value is not None and score.value <= score.threshold
    return usual and score.beat.quality is GOOD


def counted(own_beats: int, score: Score, most: int) -> int:
    """``own_beats`` with this beat, if it is one; no more than ``most`` are counted."""
    return own_beats + 1 if own_beats < most and is_own(score) else own_beats
