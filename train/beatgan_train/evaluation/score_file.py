"""The JSON Lines that ``beatgan-daemon score`` wrote, laid beside the beats of a BeatSet.

Knows the beat message's public fields (docs/protocol.md) and nothing else of the daemon.
"""

from pathlib import Path

import numpy as np
from msgspec import UNSET

from beatgan.errors import UsageError
from beatgan.protocol.messages import BeatLine, decode_line
from beatgan.types import Doubles, Quality
from beatgan_train.data.beat_set import BeatSet


def read_scores(file: Path, beats: BeatSet) -> Doubles:
    """The score of each row of ``beats``, by its record (the stream's name) and sample.

    -inf where the daemon did not score. The daemon and the training shell run the same front end,
    so they find the same beats; where they do not, the file is of another model or signal.
    Raises UsageError saying where the two differ.
    """
    found = _scores(file)
    scores = np.full(len(beats), -np.inf)
    for row in range(len(beats)):
        name, sample = beats.records[beats.record[row]], int(beats.sample[row])
        if (name, sample) not in found:
            raise UsageError(f"{file}: no beat at sample {sample} of {name}; {_ours(beats, name)}")
        scores[row] = found.pop((name, sample))
    known = set(beats.records)
    if extra := [key for key in found if key[0] in known]:
        name, sample = extra[0]
        raise UsageError(
            f"{file}: {len(extra)} beats that the front end does not find, the first at sample "
            f"{sample} of {name}; {_ours(beats, name)}"
        )
    return scores


def _scores(file: Path) -> dict[tuple[str, int], float]:
    """The score of each beat in the file by stream and sample; the latest where it was revised."""
    scores: dict[tuple[str, int], float] = {}
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: {error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        try:
            message = decode_line(line)
            if isinstance(message, BeatLine):
                place = message.stream, message.sample
                if place in scores and not message.revised:
                    raise ValueError("a second score of this beat, which does not revise the first")
                scores[place] = _value(message)
        except ValueError as error:  # msgspec's errors are such, too
            raise UsageError(
                f"{file}: line {number} is no message of beatgan-daemon score ({error})"
            ) from error
    return scores


def _value(beat: BeatLine) -> float:
    """Its score; -inf for null."""
    if beat.score is UNSET:
        raise ValueError("a beat without a score")
    if beat.score is None:
        if beat.quality != Quality.UNUSABLE:
            raise ValueError("a null score on a beat that is not unusable")
        return -np.inf
    return beat.score


def _ours(beats: BeatSet, name: str) -> str:
    count = int(beats.of([name]).sum())
    return f"the model's front end finds {count} beats there: was it scored with this model?"
