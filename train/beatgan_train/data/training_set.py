"""What a training may learn from and be chosen by: normal beats, divided by the protocol.

It holds no anomalous beat, and no beat of the protocol's test set.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.progress import Progress

from beatgan.coefficients import AlarmCoefficients
from beatgan.ec57.annotations import ANNOTATOR
from beatgan.errors import UsageError
from beatgan.spec import PreprocessSpec
from beatgan.types import Ints
from beatgan_train.data import beat_set, own_recordings, splits
from beatgan_train.data.beat_set import BeatSet, join
from beatgan_train.data.mitdb import DS1
from beatgan_train.data.patients import BY_PLACE, PatientRule
from beatgan_train.data.reading import ForEach, in_turn
from beatgan_train.data.source import Mode, Protocol, Source, spec_of

SPLIT_SEED = 0  # the division into folds is the same whatever the training's own seed


@dataclass(frozen=True, slots=True, eq=False)
class LoadedBeats:
    """The beats of all patients in the lead that a daemon would choose, and in the other one.

    What the other lead shows is learnt from like a further patient's, but never chosen by and never
    calibrated on. It is None where a protocol or a mode has no use for it. ``patients`` says whose
    a recording is, where the protocol does not.
    """

    beats: BeatSet
    other: BeatSet | None = None
    patients: PatientRule = BY_PLACE


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """Normal beats to fit to, and others to choose by and to calibrate on.

    Under ``interpatient`` and ``own`` the latter are of other patients: a fifth of them, by the
    fold.
    """

    source: Source
    train: BeatSet
    held_out: BeatSet


def load_beats(
    data: Path,
    mode: Mode,
    protocol: Protocol,
    coefficients: AlarmCoefficients,
    bars: Progress,
    annotator: str = ANNOTATOR,
    patients: PatientRule = BY_PLACE,
    test_fold: int | None = None,
    for_each: ForEach = in_turn,
) -> LoadedBeats:
    """The beats that trainings under ``protocol`` draw on, through the mode's front end.

    Under ``own`` alone ``annotator`` is the suffix of the annotation files, ``patients`` whose the
    recordings are, and ``test_fold`` the fifth of the patients that is not looked at. Raises
    UsageError where a patient or a fold is asked for under another protocol, which fixes them.
    """
    spec = spec_of(mode)
    if protocol == "own":
        beats = own_recordings.load(
            data,
            spec,
            coefficients,
            annotator,
            bars,
            patients=patients,
            test_fold=test_fold,
            for_each=for_each,
        )
        return LoadedBeats(beats, patients=patients)
    if patients != BY_PLACE or test_fold is not None:
        raise UsageError("--patients, --patient-pattern and --test-fold go with --protocol own")
    if protocol == "beatgan":
        return LoadedBeats(
            beat_set.load(data, splits.RECORDS_OF[protocol], spec, coefficients, bars, for_each)
        )
    beats = beat_set.load(data, DS1, spec, coefficients, bars, for_each)
    if mode == "beat":
        return LoadedBeats(beats)
    swapped = replace(spec, leads=spec.leads[::-1])  # each of DS1's records has two of them
    return LoadedBeats(beats, beat_set.load(data, DS1, swapped, coefficients, bars, for_each))


def make_training_set(
    loaded: LoadedBeats, mode: Mode, protocol: Protocol, fold: int
) -> TrainingSet:
    """The division of the beats with ``fold`` held out."""
    beats = loaded.beats
    train, held_out = _rows(loaded, protocol, fold)
    fitted, chosen_by = _records(beats, train), _records(beats, held_out)
    fitted_to = beats.take(train)
    if (other := loaded.other) is not None:
        fitted_to = join([fitted_to, other.take(other.normal & other.of([*fitted]))])
    source = Source(
        protocol=protocol,
        fold=fold,
        mode=mode,
        records=tuple(sorted({*fitted, *chosen_by})),
        held_out=tuple(sorted({*chosen_by} - {*fitted})),
        beats=len(fitted_to),
        split_seed=SPLIT_SEED,
    )
    if protocol == "own":
        described = own_recordings.describe_patients(beats, loaded.patients)
        source = replace(source, database=described)
    return TrainingSet(source, fitted_to, beats.take(held_out))


def refuse_other_data(teacher: Source, found: Source) -> None:
    """Raise UsageError unless what a teacher was made of is ``found`` again.

    Otherwise a student would be calibrated on patients that its teacher has seen.
    """
    if (teacher.records, teacher.held_out) != (found.records, found.held_out):
        raise UsageError(
            f"the teacher was made of {len(teacher.records)} recordings with "
            f"{len(teacher.held_out)} held out; --data has {len(found.records)} with "
            f"{len(found.held_out)} held out, or others: distil from the data that it was made of"
        )


def amplitude(spec: PreprocessSpec) -> float:
    """The largest deflection that a network is let say, in the window's units (see Autoencoder).

    Beats scaled to their own range end at 1. Measured against the patient's reference, the
    largest deflection of 99.9 % of DS1's normal beats is below 9.6; a beat that goes beyond 10 is
    seen by the network but cannot be expected by it, and so keeps a large error.
    """
    return 1.0 if spec.scale == "beat" else 10.0


def _rows(loaded: LoadedBeats, protocol: Protocol, fold: int) -> tuple[Ints, Ints]:
    """Normal beats to fit to, and to choose by."""
    beats = loaded.beats
    if protocol == "own":
        return own_recordings.split(beats, fold, SPLIT_SEED, loaded.patients)
    rows = splits.split(protocol, beats, fold, SPLIT_SEED)
    return rows.train, rows.validation[beats.normal[rows.validation]]


def _records(beats: BeatSet, rows: Ints) -> set[str]:
    return {beats.records[index] for index in np.unique(beats.record[rows]).tolist()}
