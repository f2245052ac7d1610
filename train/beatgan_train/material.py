"""What a training may learn from and be chosen by: normal beats, divided by the protocol.

No anomalous beat passes this door, and no beat of the protocol's test set.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import Progress

from beatgan.spec import PreprocessSpec
from beatgan.types import Ints
from beatgan_train import dataset
from beatgan_train.annotations import DS1
from beatgan_train.calibrate import Mode, spec_of
from beatgan_train.dataset import BeatSet, Protocol
from beatgan_train.export import Source

SPLIT_SEED = 0  # the division into folds is the same whatever the training's own seed


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Normal beats to fit to, and others to choose by and to calibrate on.

    Under ``interpatient`` the latter are of other patients: a fifth of DS1's, by the fold.
    """

    source: Source
    train: BeatSet
    held_out: BeatSet


def load_beats(data: Path, mode: Mode, protocol: Protocol, bars: Progress) -> BeatSet:
    """The beats that trainings under ``protocol`` draw on, through the mode's front end."""
    names = DS1 if protocol == "interpatient" else dataset.RECORDS_OF[protocol]
    return dataset.load(data, names, spec_of(mode), bars)


def material(beats: BeatSet, mode: Mode, protocol: Protocol, fold: int) -> Material:
    """The division of ``beats`` with ``fold`` held out."""
    rows = dataset.split(protocol, beats, fold, SPLIT_SEED)
    held_out = rows.validation[beats.normal[rows.validation]]
    fitted, chosen_by = _records(beats, rows.train), _records(beats, held_out)
    source = Source(
        protocol=protocol,
        fold=fold,
        mode=mode,
        records=tuple(sorted({*fitted, *chosen_by})),
        held_out=tuple(sorted({*chosen_by} - {*fitted})),
        beats=len(rows.train),
        split_seed=SPLIT_SEED,
    )
    return Material(source, beats.take(rows.train), beats.take(held_out))


def amplitude(spec: PreprocessSpec) -> float:
    """The largest deflection that a network is let say, in the window's units (see Autoencoder).

    Beats scaled to their own range end at 1. Measured against the patient's reference, the
    largest deflection of 99.9 % of DS1's normal beats is below 9.6; a beat that goes beyond 10 is
    seen by the network but cannot be expected by it, and so keeps a large error.
    """
    return 1.0 if spec.scale == "beat" else 10.0


def _records(beats: BeatSet, rows: Ints) -> set[str]:
    return {beats.records[index] for index in np.unique(beats.record[rows]).tolist()}
