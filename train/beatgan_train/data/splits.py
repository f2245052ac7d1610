"""The division of beats into those to train on, to choose by and to test on, by protocol."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from beatgan.beat_classes import ABNORMAL
from beatgan.errors import UsageError
from beatgan.types import Ints
from beatgan_train.data.beat_set import BeatSet
from beatgan_train.data.mitdb import DS1, DS2
from beatgan_train.data.source import Protocol

RECORDS_OF: dict[Protocol, tuple[str, ...]] = {  # the beatgan protocol too leaves paced records out
    "beatgan": tuple(sorted(DS1 + DS2)),
    "interpatient": DS1 + DS2,
}
FOLDS = 5  # of the BeatGAN protocol: a fold is a fifth of the normal beats


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of a BeatSet: what to train on, to choose by, and to test on."""

    train: Ints
    validation: Ints
    test: Ints


def split(protocol: Protocol, beats: BeatSet, fold: int = 0, seed: int = 0) -> Split:
    """Rows to train on (normal beats only), to choose by and to test on.

    ``interpatient``: trained on DS1 and tested on DS2; of DS1's patients, fold ``fold`` of 5 is
    held back for validation (all classes).

    ``beatgan``: the protocol of Zhou et al. (IJCAI 2019). The normal beats are shuffled over all
    patients; a fifth, by ``fold``, is tested on, and a tenth of the rest validated on. Of each
    abnormal class a tenth is validated on and the rest tested on. A test beat thus nearly always
    has beats of the same patient in training: the figures say nothing about new patients.
    """
    if not 0 <= fold < FOLDS:
        raise UsageError(f"fold must be 0..{FOLDS - 1}, got {fold}")
    if protocol == "interpatient":
        train, validation = patient_folds(beats, DS1, FOLDS, seed)[fold]
        return Split(train, validation, _known(beats, beats.of(DS2)))
    return _shuffled(beats, fold, seed)


def patient_folds(
    beats: BeatSet, names: Sequence[str], count: int, seed: int
) -> list[tuple[Ints, Ints]]:
    """For each of ``count`` groups of the records ``names``: (normal rows outside, rows inside).

    The groups are drawn by ``seed``; each record, and so each patient, is in exactly one.
    """
    order = np.random.default_rng(seed).permutation(sorted(names))
    groups = [order[k::count].tolist() for k in range(count)]
    mine = beats.of(names)
    return [
        (np.flatnonzero(beats.normal & mine & ~beats.of(g)), _known(beats, beats.of(g)))
        for g in groups
    ]


def _known(beats: BeatSet, mask: NDArray[np.bool_]) -> Ints:
    """The rows of ``mask`` that are known beats with a waveform."""
    return np.flatnonzero(mask & beats.usable & (beats.label != "")).astype(np.int64)


def _shuffled(beats: BeatSet, fold: int, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    normal = rng.permutation(np.flatnonzero(beats.normal))
    fifth = len(normal) // FOLDS
    tested = normal[fold * fifth : (fold + 1) * fifth]
    rest = np.concatenate([normal[: fold * fifth], normal[(fold + 1) * fifth :]])
    tenth = len(rest) // 10
    chosen_by, held_out = [rest[:tenth]], [tested]
    for rows in _abnormal_classes(beats):
        rows = rng.permutation(rows)
        chosen_by.append(rows[: len(rows) // 10])
        held_out.append(rows[len(rows) // 10 :])
    return Split(
        np.sort(rest[tenth:]), np.sort(np.concatenate(chosen_by)), np.sort(np.concatenate(held_out))
    )


def _abnormal_classes(beats: BeatSet) -> Iterator[Ints]:
    for label in ABNORMAL:
        yield np.flatnonzero(beats.usable & (beats.label == label)).astype(np.int64)
