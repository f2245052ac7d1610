"""Score now, revise once: which beats' scores are revised when the next beat is known.

A beat is scored when its window is complete, and its score revised when the RR interval to the
next beat is known and no longer than a bound. Knows no stream and no alarm.
"""

from collections.abc import Sequence

from beatgan.model.scorer import Scorer
from beatgan.types import Beat, Score

REVISE_WITHIN_S = 2.0  # the bound, where nothing else is said
KNOWN_AFTER_S = 1.0  # a beat is known sooner than this after its R peak


def revisable_until(scorer: Scorer, score: Score, fs: float, within_s: float) -> int | None:
    """The sample count by which a score is revised, if it ever is; None where it cannot be.

    ``fs`` is the rate of the source's samples, in Hz; with ``within_s`` of 0 none is revised.
    """
    if not scorer.revises or within_s <= 0 or score.value is None:
        return None
    return score.beat.sample + round((within_s + KNOWN_AFTER_S) * fs)


def revisions(
    scorer: Scorer,
    scores: Sequence[Score | None],
    following: Sequence[Beat | None],
    within_s: float,
    batch_size: int = 4096,
) -> list[Score | None]:
    """For each score, that beat's score as revised; None where the first one is final.

    ``following``: the beat after each in its stream, None where there is none.
    """
    revised: list[Score | None] = [None] * len(scores)
    if not scorer.revises:
        return revised
    rows: list[int] = []
    pairs: list[tuple[Score, float]] = []
    for row, (score, beat) in enumerate(zip(scores, following, strict=True)):
        if score is None or score.value is None or beat is None or beat.rr_ms is None:
            continue
        if beat.rr_ms <= 1000 * within_s:
            rows.append(row)
            pairs.append((score, beat.rr_ms))
    for first in range(0, len(rows), batch_size):
        batch = slice(first, first + batch_size)
        known, next_rr_ms = zip(*pairs[batch], strict=True)
        for row, score in zip(rows[batch], scorer.revise(known, next_rr_ms), strict=True):
            revised[row] = None if score is scores[row] else score
    return revised


def final_scores(
    scorer: Scorer, beats: Sequence[Beat], within_s: float = REVISE_WITHIN_S
) -> list[Score]:
    """The final scores of a stream's ``beats``, which are all it has, in order."""
    scores = scorer.score(beats)
    following = [*beats[1:], None] if beats else []
    revised = revisions(scorer, scores, following, within_s)
    return [first if last is None else last for first, last in zip(scores, revised, strict=True)]
