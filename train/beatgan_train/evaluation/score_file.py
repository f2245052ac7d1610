"""The JSON Lines that ``beatgan-daemon score`` wrote, laid beside the beats of a BeatSet.

Knows the beat message's public fields (docs/protocol.md) and nothing else of the daemon.
"""

from pathlib import Path, PurePosixPath

import numpy as np
from msgspec import UNSET

from beatgan.ec57.detections import class_of
from beatgan.errors import UsageError
from beatgan.protocol.messages import BeatLine, decode_line
from beatgan.protocol.names import stream_of_record
from beatgan.types import Quality
from beatgan_train.data.beat_set import BeatSet
from beatgan_train.data.recordings import SUFFIXES
from beatgan_train.evaluation.beat_scores import BeatScores


def read_scores(file: Path, beats: BeatSet) -> BeatScores:
    """The score and the class of each row of ``beats``, by its record's stream and its sample.

    The daemon and the training shell run the same front end, so they find the same beats; where
    they do not, the file is of another model or signal. Of a beat that was revised the last word
    counts. Raises UsageError saying where the two differ.
    """
    streams = _streams(beats)
    found = _scores(file)
    scores = BeatScores.empty(len(beats))
    for row in range(len(beats)):
        name, sample = beats.records[beats.record[row]], int(beats.sample[row])
        if (streams[name], sample) not in found:
            raise UsageError(f"{file}: no beat at sample {sample} of {name}; {_ours(beats, name)}")
        scores.value[row], scores.called[row] = found.pop((streams[name], sample))
    names = {stream: name for name, stream in streams.items()}
    if extra := [key for key in found if key[0] in names]:
        stream, sample = extra[0]
        raise UsageError(
            f"{file}: {len(extra)} beats that the front end does not find, the first at sample "
            f"{sample} of {names[stream]}; {_ours(beats, names[stream])}"
        )
    return scores


def _streams(beats: BeatSet) -> dict[str, str]:
    """What the stream of each record with beats is called.

    Raises UsageError where two are called the same: it would have to be guessed which is which.
    """
    streams: dict[str, str] = {}
    for name in (beats.records[i] for i in np.unique(beats.record).tolist()):
        path = PurePosixPath(name)
        file = path.stem if path.suffix.lower() in SUFFIXES else path.name
        streams[name] = stream = stream_of_record(file)
        if other := [n for n, s in streams.items() if s == stream and n != name]:
            raise UsageError(f"the streams of {other[0]} and {name} are both called {stream}")
    return streams


def _scores(file: Path) -> dict[tuple[str, int], tuple[float, str]]:
    """Score and class of each beat in the file by stream and sample; the latest if revised."""
    scores: dict[tuple[str, int], tuple[float, str]] = {}
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
                scores[place] = _value(message), class_of(message)
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
