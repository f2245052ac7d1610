"""Beats and alarms as annotations that other programs read."""

from pathlib import Path

import numpy as np
import pytest

import beatgan
from beatgan.errors import UsageError
from beatgan.library.beat_table import beats_of
from beatgan.library.episodes import Episode
from beatgan.library.wfdb_annotations import Mark, marks_of

wfdb = pytest.importorskip("wfdb")


def test_wfdb_reads_what_was_written(tmp_path: Path, result: beatgan.Result) -> None:
    path = result.write_wfdb(tmp_path / "200", "bg")
    assert path == tmp_path / "200.bg"
    found = wfdb.rdann(str(tmp_path / "200"), "bg")
    assert found.fs == 360
    beats = [k for k, symbol in enumerate(found.symbol) if symbol in "NSVFQ"]
    assert found.sample[beats].tolist() == result.beats["sample"].tolist()
    expected = [each or "Q" for each in result.beats["class"].tolist()]  # unusable ones have none
    assert [found.symbol[k] for k in beats] == expected
    anomalous = ["!" in found.aux_note[k] for k in beats]
    assert anomalous == result.beats["anomalous"].tolist()
    assert (np.diff(found.sample) >= 0).all()
    assert "(VT" in found.aux_note


def episode(code: str, kind: str, onset: int, end: int | None) -> Episode:
    at, until = onset / 360, None if end is None else end / 360
    return Episode("x", kind, code, "low", at, until, onset, end, None, None, None, "why", ())


def test_rhythms_have_their_standard_labels() -> None:
    episodes = [
        episode("rhythm.atrial-fibrillation", "physiological", 100, 900),
        episode("rhythm.ventricular-fibrillation", "physiological", 200, 500),
        episode("rhythm.ventricular-fibrillation", "physiological", 950, 1000),
        episode("signal.gap", "technical", 300, 400),
        episode("rhythm.pause", "physiological", 600, None),
    ]
    assert marks_of(beats_of([], 360), episodes, 1000) == [
        Mark(100, "+", "(AFIB"),
        Mark(200, "["),
        Mark(300, '"', "signal.gap"),
        Mark(400, '"', "signal.gap ends"),
        Mark(500, "]"),
        Mark(600, '"', "rhythm.pause: why"),
        Mark(900, "+", "(N"),
        Mark(950, "["),  # open at the end of the record
    ]


def test_an_odd_annotator_is_refused(tmp_path: Path, result: beatgan.Result) -> None:
    for name in ("", "hea", "b.g", "../x"):
        with pytest.raises(UsageError, match="expected letters"):
            result.write_wfdb(tmp_path / "200", name)
    with pytest.raises(UsageError, match="cannot be written"):
        result.write_wfdb(tmp_path / "none" / "200", "bg")
    assert not list(tmp_path.iterdir())
