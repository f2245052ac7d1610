"""A result beside annotations: the figures of EC57, and how well the score ranks."""

from math import isnan
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import beatgan
from beatgan.ec57.roc import auc
from beatgan.errors import RecordError

wfdb = pytest.importorskip("wfdb")


def test_its_own_annotations_are_all_found(tmp_path: Path, result: beatgan.Result) -> None:
    result.write_wfdb(tmp_path / "own", "bg")
    found = beatgan.compare(result, tmp_path / "own", "bg")
    assert (found.sensitivity, found.ppv, found.f1) == (1.0, 1.0, 1.0)
    assert found.classes.of("V").sensitivity == 1.0
    assert found.auc > 0.9
    assert f"beats: {found.beats.wide.tp} found, 0 missed, 0 false" in str(found)


def test_what_is_annotated_otherwise_counts(tmp_path: Path, result: beatgan.Result) -> None:
    sample = result.beats["sample"].copy()
    symbols = np.full(len(sample), "N")
    symbols[50] = "V"
    moved = np.delete(sample, [10, 11])  # two that nobody annotated
    wfdb.wrann(
        "r", "atr", moved, np.delete(symbols, [10, 11]).tolist(), fs=360, write_dir=str(tmp_path)
    )
    for name in ("r", "r.hea", "r.atr"):
        found = beatgan.compare(result, tmp_path / name)
        assert (found.beats.wide.fp, found.beats.wide.fn) == (2, 0)
        assert found.classes.of("V").fn == int(result.beats["class"][50] != "V")


def test_one_class_alone_has_no_auc(tmp_path: Path, result: beatgan.Result) -> None:
    sample = result.beats["sample"]
    wfdb.wrann("r", "atr", sample, ["N"] * len(sample), fs=360, write_dir=str(tmp_path))
    found = beatgan.compare(result, tmp_path / "r")
    assert isnan(found.auc)
    assert isnan(found.anomalous[0])
    assert "AUC - (one class alone)" in str(found)
    assert "nan" not in str(found)


def test_what_is_annotated_beyond_the_signal_is_not_missed(
    tmp_path: Path, result: beatgan.Result
) -> None:
    sample = result.beats["sample"]
    beyond = np.append(sample, [len(result.ecg), len(result.ecg) + 9999])
    wfdb.wrann("r", "atr", beyond, ["N"] * len(beyond), fs=360, write_dir=str(tmp_path))
    assert beatgan.compare(result, tmp_path / "r").beats.wide.fn == 0


def test_missing_annotations_are_named(tmp_path: Path, result: beatgan.Result) -> None:
    with pytest.raises(RecordError, match=r"none\.atr: no such annotation file"):
        beatgan.compare(result, tmp_path / "none")


@pytest.mark.parametrize("seed", range(5))
def test_the_area_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = np.round(rng.normal(size=200), 1)  # with ties
    positive = rng.random(200) < 0.2
    assert auc(score, positive) == pytest.approx(roc_auc_score(positive, score), abs=1e-12)
    assert isnan(auc(score, np.zeros(200, bool)))
