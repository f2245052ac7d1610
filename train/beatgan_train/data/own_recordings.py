"""One's own recordings, annotated or not, as beats to learn from, divided by patient.

What nobody annotated is taken as normal unless its signal is bad or the beat lies far from its
patient's own reference. No label, no model and no figure of a test decides.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from beatgan.coefficients import AlarmCoefficients
from beatgan.ec57.annotations import ANNOTATOR
from beatgan.errors import UsageError
from beatgan.spec import PreprocessSpec
from beatgan.types import Ints, Quality
from beatgan_train.data.beat_set import BeatSet, join
from beatgan_train.data.labelled_recordings import open_all
from beatgan_train.data.patients import BY_PLACE, PatientRule, groups_of
from beatgan_train.data.reading import ForEach, in_turn
from beatgan_train.data.recordings import find
from beatgan_train.data.splits import FOLDS

# Robust standard deviations above the median distance, over all beats that nobody annotated. On DS1
# (benchmarks/ablations/own_recordings_limit.py) the share of abnormal beats falls from 10 % to 3 %
# for 5 % of the normal ones; a limit of each recording's own lets through twice as many.
FARTHEST = 2.0
TEST_SEED = 1  # of the fifths that are tested on: others than those that a network is chosen by


def load(
    data: Path,
    spec: PreprocessSpec,
    coefficients: AlarmCoefficients,
    annotator: str = ANNOTATOR,
    progress: Progress | None = None,
    *,
    patients: PatientRule = BY_PLACE,
    test_fold: int | None = None,
    for_each: ForEach = in_turn,
) -> BeatSet:
    """The beats of all recordings under ``data``; those to learn from have the label N.

    Where a file named as the recording but with the suffix ``annotator`` lies beside it, labels
    are its AAMI classes; elsewhere they are N or, for what was put aside, empty. The recordings of
    the fifth ``test_fold`` of the ``patients`` are not looked at: to be tested on. Prints to
    ``progress`` what became of the beats. Raises RecordError naming every file that is unreadable,
    UsageError where there is no recording, or an annotator was asked for that no recording has.
    """
    files = find(data)
    whose = {name: patients.of(name) for name in files}
    if test_fold is not None:
        groups = groups_of(whose.values(), FOLDS, TEST_SEED)
        if len(groups) < FOLDS:
            raise UsageError(
                f"--test-fold: {data} has {len(groups)} patients; {FOLDS} are needed at least"
            )
        files = {name: files[name] for name in files if whose[name] not in groups[test_fold]}
    opened = open_all(files, spec, coefficients, annotator, progress, for_each)
    if annotator != ANNOTATOR and not any(each.reference for each in opened):
        raise UsageError(f"{data}: no recording has beats annotated in a file .{annotator}")
    beats = join([each.beats for each in opened])
    bare = np.concatenate([np.full(len(o.beats), o.reference is None) for o in opened])
    normal = presumed_normal(beats, bare)
    beats = replace(beats, label=np.where(bare, np.where(normal, "N", ""), beats.label))
    if progress:
        count = sum(each.reference is not None for each in opened)
        text = f"{count} recordings are annotated; {describe_patients(beats, patients)}"
        progress.console.print(text, highlight=False, soft_wrap=True)
    return beats


def presumed_normal(beats: BeatSet, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the beats ``among`` are taken as normal without anybody having said so.

    Those of good signal whose distance to their patient's reference is at most ``FARTHEST`` robust
    standard deviations (1.4826 times the median absolute deviation) above the median of them all.
    """
    good = among & np.equal(beats.quality, Quality.GOOD.value)
    if not good.any():
        return good
    distance = beats.distance[good]
    middle = float(np.nanmedian(distance))  # a recording's first beat has no distance
    spread = 1.4826 * float(np.nanmedian(np.abs(distance - middle)))
    return good & (beats.distance <= middle + FARTHEST * spread)


def split(beats: BeatSet, fold: int, seed: int, rule: PatientRule = BY_PLACE) -> tuple[Ints, Ints]:
    """Rows of normal beats: those to fit to, and those of the fifth of patients held out.

    Raises UsageError where too few patients have a beat to learn from.
    """
    if not 0 <= fold < FOLDS:
        raise UsageError(f"fold must be 0..{FOLDS - 1}, got {fold}")
    names = [beats.records[i] for i in np.unique(beats.record[beats.normal]).tolist()]
    patients = sorted({rule.of(name) for name in names})
    if len(patients) < FOLDS:
        raise UsageError(
            f"{len(patients)} patients with beats to learn from ({', '.join(patients) or 'none'}); "
            f"at least {FOLDS} are needed, a fifth of whom is held out. Patients: {rule.words}"
        )
    group = np.random.default_rng(seed).permutation(patients)[fold::FOLDS].tolist()
    inside = beats.of([name for name in names if rule.of(name) in group])
    return np.flatnonzero(beats.normal & ~inside), np.flatnonzero(beats.normal & inside)


def describe_patients(beats: BeatSet, rule: PatientRule = BY_PLACE) -> str:
    """What the beats are, in one line: it goes into the model file in place of a database."""
    aside = ~beats.normal
    bad = [int((aside & (beats.quality == q)).sum()) for q in ("unusable", "poor")]
    rest = int(aside.sum()) - sum(bad)
    patients = {rule.of(name) for name in beats.records}
    return (
        f"own recordings: {len(beats.records)} of {len(patients)} patients, "
        f"{int(beats.normal.sum())} beats taken as normal; put aside: {bad[0]} unusable, "
        f"{bad[1]} poor, {rest} of another class or too far from their patient's own"
    )
