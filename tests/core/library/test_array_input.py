"""Arrays that are not what they seem: what is lost stays lost, what is no lead is refused."""

from typing import Any

import numpy as np
import pytest

import beatgan
from beatgan.errors import UsageError
from beatgan.library.array_input import recording_of, samples_of
from beatgan.model.synthetic_ecg import synthetic_ecg

FS = 250.0


@pytest.fixture
def ecg() -> Any:
    return synthetic_ecg(10.0, FS, 1).astype(float)


def test_masked_samples_are_lost(ecg: Any) -> None:
    masked = np.ma.masked_array(ecg, mask=np.arange(len(ecg)) < 100)
    assert np.flatnonzero(np.isnan(samples_of(masked)[:, 0])).tolist() == list(range(100))
    whole = np.ma.masked_array((ecg * 10).astype(int), mask=np.arange(len(ecg)) == 3)
    assert np.flatnonzero(np.isnan(samples_of(whole)[:, 0])).tolist() == [3]


def test_a_time_or_a_counter_beside_the_ecg_is_no_lead(ecg: Any) -> None:
    for rising in (np.arange(len(ecg)) / FS, np.arange(len(ecg)) / FS + 1e3, np.arange(len(ecg))):
        with pytest.raises(UsageError, match="ECG rises from each sample to the next"):
            recording_of(np.column_stack([rising, ecg]), FS, None, None, None)


@pytest.mark.parametrize("heading", ["t", "time (s)", "Unnamed: 0", "timestamp", "index", "n"])
def test_a_tables_times_and_counters_are_no_leads(ecg: Any, heading: str) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({heading: np.zeros(len(ecg)), "II": ecg})
    with pytest.raises(UsageError, match="is no ECG lead by its name"):
        recording_of(table, FS, None, None, None)


@pytest.mark.parametrize("kind", [bool, complex, "M8[s]", "m8[s]"])
def test_what_is_no_voltage_by_its_type_is_refused(ecg: Any, kind: Any) -> None:
    with pytest.raises(UsageError, match="expected an array of numbers"):
        samples_of(ecg.astype(int).astype(kind))


def test_impossible_arguments_are_told_in_words(ecg: Any) -> None:
    pandas = pytest.importorskip("pandas")
    starts: tuple[Any, ...] = ("2026-01-01", pandas.NaT)
    for start in starts:
        with pytest.raises(UsageError, match="start: expected a datetime"):
            recording_of(ecg, FS, None, None, start)
    for fs in ([360], "fast", 360 + 0j):
        with pytest.raises(UsageError, match="fs: expected a number"):
            recording_of(ecg, fs, None, None, None)  # type: ignore[arg-type]
    for leads in (2, {"II"}):
        with pytest.raises(UsageError, match="leads: expected names"):
            recording_of(ecg, FS, leads, None, None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="II is the name of two leads"):
        beatgan.Stream(FS, ["II", "II"])
