"""One model, other people's recordings: any rate, any lead names, any units, three formats.

A stretch of a known recording is written as other databases would have it and must give the same
beats and nearly the same scores; records of the other databases must give beats at all.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb
from edfio import Edf, EdfSignal
from scipy.signal import resample_poly

from beatgan.alarms.limits import AlarmLimits
from beatgan.ec57.annotations import read_reference
from beatgan.ec57.beat_matching import match
from beatgan.playback.offline import score_recordings
from beatgan.protocol.messages import BeatMessage
from beatgan.records import Recording, read_recording
from beatgan.types import Doubles
from beatgan_daemon.model_loading import load_model
from beatgan_train.evaluation.ranking import auc

SECONDS, FS = 100, 360
START = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)

Beats = list[BeatMessage]
Scored = Callable[[Path], Beats]


@pytest.fixture(scope="module")
def original(mitdb: Path) -> Doubles:
    """The first minutes of record 208 (normal, ventricular and fusion beats): MLII and V1."""
    found = read_recording(mitdb / "208").samples[: SECONDS * FS]
    return found.astype(np.float64)


@pytest.fixture(scope="module")
def scored(model_file: Path) -> Scored:
    """What the daemon's engine says of the recording at a path."""
    loaded = load_model(model_file, "cpu")

    def score(path: Path) -> Beats:
        told = score_recordings(
            [read_recording(path)], loaded.spec, loaded.coefficients, loaded.scorer, AlarmLimits()
        )
        beats = {m.n: m for m in told if isinstance(m, BeatMessage)}  # revised or not
        return list(beats.values())

    return score


@pytest.fixture(scope="module")
def plain(original: Doubles, scored: Scored, tmp_path_factory: pytest.TempPathFactory) -> Beats:
    """The beats of the original."""
    return scored(as_wfdb(tmp_path_factory.mktemp("plain"), original, FS, ["MLII", "V1"]))


@pytest.fixture(scope="module")
def alone(original: Doubles, scored: Scored, tmp_path_factory: pytest.TempPathFactory) -> Beats:
    """The beats of the original's first lead, without the other."""
    return scored(as_wfdb(tmp_path_factory.mktemp("alone"), original[:, :1], FS, ["MLII"]))


def at_rate(samples: Doubles, fs: int) -> Doubles:
    ratio = Fraction(fs, FS)
    resampled: Doubles = resample_poly(
        samples, ratio.numerator, ratio.denominator, axis=0, padtype="line"
    )
    return resampled


def as_wfdb(
    folder: Path, samples: Doubles, fs: int, names: Sequence[str], unit: str = "mV", **more: Any
) -> Path:
    wfdb.wrsamp(
        "toy",
        fs=fs,
        units=[unit] * len(names),
        sig_name=list(names),
        p_signal=samples,
        fmt=["16"] * len(names),
        write_dir=str(folder),
        **more,
    )
    return folder / "toy"


def as_edf(folder: Path, samples: Doubles, fs: int, names: Sequence[str], unit: str = "mV") -> Path:
    leads = [
        EdfSignal(column, fs, label=name, physical_dimension=unit)
        for column, name in zip(samples.T, names, strict=True)
    ]
    slow = np.sin(np.arange(SECONDS * 10) / 9)
    breath = EdfSignal(slow, 10, label="Resp chest", physical_dimension="uV")
    brain = EdfSignal(np.repeat(slow, 60), 600, label="EEG C3-A2", physical_dimension="uV")
    Edf([breath, *leads, brain]).write(folder / "toy.edf")
    return folder / "toy.edf"


def as_csv(folder: Path, samples: Doubles, fs: int, names: Sequence[str], unit: str = "mV") -> Path:
    heading = ",".join(f"{name} ({unit})" for name in names)
    with (folder / "toy.csv").open("w") as file:
        file.write(f"# fs={fs} start={START.isoformat()}\n{heading}\n")
        np.savetxt(file, samples, "%.8g", ",")
    return folder / "toy.csv"


def alike(found: Beats, fs: int, plain: Beats) -> None:
    """The same beats within 20 ms, and scores that put them in the same order."""
    there = np.array([round(beat.sample * FS / fs) for beat in found])
    here = np.array([beat.sample for beat in plain])
    pairs = match(here, there, 0.02 * FS)
    assert len(pairs.reference) >= 0.99 * max(len(here), len(there))
    both = [
        (plain[i].score, found[j].score)
        for i, j in zip(pairs.reference, pairs.detected, strict=True)
    ]
    old, new = np.array([pair for pair in both if None not in pair], dtype=np.float64).T
    assert len(old) >= 0.97 * len(plain)
    assert np.median(np.abs(old - new)) < 0.1
    assert auc(new, old > np.median(old) + 1.0) > 0.99


def test_the_original_has_beats_of_both_kinds(plain: Beats) -> None:
    assert len(plain) > 150
    assert sum(beat.anomalous for beat in plain) > 30


@pytest.mark.parametrize("fs", [100, 128, 250, 257, 500, 1000])
def test_any_rate_gives_the_same_beats(
    fs: int, original: Doubles, plain: Beats, scored: Scored, tmp_path: Path
) -> None:
    alike(scored(as_wfdb(tmp_path, at_rate(original, fs), fs, ["MLII", "V1"])), fs, plain)


@pytest.mark.parametrize("write", [as_wfdb, as_edf, as_csv])
@pytest.mark.parametrize(("unit", "size"), [("uV", 1000.0), ("V", 0.001)])
def test_any_format_and_unit_gives_the_same_beats(
    write: Callable[..., Path],
    unit: str,
    size: float,
    original: Doubles,
    plain: Beats,
    scored: Scored,
    tmp_path: Path,
) -> None:
    alike(scored(write(tmp_path, original * size, FS, ["MLII", "V1"], unit)), FS, plain)


@pytest.mark.parametrize("size", [0.02, 1.0, 200.0])
@pytest.mark.parametrize("write", [as_wfdb, as_csv])
def test_a_lead_without_a_voltage_is_taken_at_a_usual_size(
    write: Callable[..., Path],
    size: float,
    original: Doubles,
    alone: Beats,
    scored: Scored,
    tmp_path: Path,
) -> None:
    path = write(tmp_path, (original[:, :1] + 3.0) * size, FS, ["ECG"], "nu")
    assert read_recording(path).scaled == ("ECG",)
    alike(scored(path), FS, alone)


@pytest.mark.parametrize(
    ("names", "good"),
    [
        (["ECG1"], 0),
        (["modified lead II"], 0),
        (["V1", "Modified Lead II"], 1),
        (["MLIII", "ekg ii"], 1),
        (["lead AVF", "Lead I"], 1),
        (["III", "aVF", "DII"], 2),
        (["I", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6", "ii"], 11),
        (["C3-A2", "F4-A1", "ECG1"], 2),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else None,
)
def test_the_best_lead_is_found_by_its_name(
    names: list[str],
    good: int,
    original: Doubles,
    alone: Beats,
    scored: Scored,
    tmp_path: Path,
) -> None:
    """All other leads carry noise: whoever judges one of them fails."""
    noise = np.random.default_rng(0).normal(0, 0.3, (len(original), len(names)))
    noise[:, good] = original[:, 0]
    alike(scored(as_wfdb(tmp_path, noise, FS, names)), FS, alone)


def test_a_dead_lead_is_passed_over(
    original: Doubles, alone: Beats, scored: Scored, tmp_path: Path
) -> None:
    """Its name would have been the best."""
    leads = np.stack([np.zeros(len(original)), original[:, 0]], axis=1)
    path = as_csv(tmp_path, leads, FS, ["MLII", "V1"])
    assert read_recording(path).left_out == ("MLII (never changes)",)
    alike(scored(path), FS, alone)


@pytest.mark.parametrize("zone", [None, UTC])
def test_beats_bear_the_recordings_own_time(
    zone: Any, original: Doubles, scored: Scored, tmp_path: Path
) -> None:
    path = as_wfdb(
        tmp_path, original, FS, ["II", "V1"], base_datetime=START.replace(tzinfo=None)
    ) if zone is None else as_csv(tmp_path, original, FS, ["II", "V1"])  # fmt: skip
    for beat in scored(path):
        seconds = beat.time_ns / 1e9 - START.timestamp()
        assert seconds == pytest.approx(beat.sample / FS, abs=1e-3)


def test_a_converter_at_its_limits_is_signal(
    original: Doubles, plain: Beats, scored: Scored, tmp_path: Path
) -> None:
    """Beats cut off at the largest number that 16 bits hold, at an unusual gain and baseline."""
    counts = np.round(original[:, :1] * 30_000 + 5_000)
    assert (counts > 32_767).any()
    np.clip(counts, -32_767, 32_767).astype("<i2").tofile(tmp_path / "raw.dat")
    (tmp_path / "raw.hea").write_text(
        f"raw 1 {FS} {len(counts)}\nraw.dat 16 30000(5000)/mV 16 0 0 0 0 ECG\n"
    )
    found = scored(tmp_path / "raw")
    pairs = match(
        np.array([beat.sample for beat in plain]), np.array([b.sample for b in found]), 0.05 * FS
    )
    assert len(pairs.reference) >= 0.97 * max(len(plain), len(found))
    assert sum(beat.score is not None for beat in found) >= 0.97 * len(found)


def test_marks_of_lost_samples_leave_a_gap_not_a_spike(
    original: Doubles, scored: Scored, tmp_path: Path
) -> None:
    """-32768 is WFDB's mark of a sample that is none."""
    counts = np.round(original[:, :1] * 200).astype("<i2")
    lost = slice(20 * FS, 30 * FS)
    counts[lost] = -32_768
    counts.tofile(tmp_path / "raw.dat")
    (tmp_path / "raw.hea").write_text(
        f"raw 1 {FS} {len(counts)}\nraw.dat 16 200(0)/mV 16 0 0 0 0 ECG\n"
    )
    found = scored(tmp_path / "raw")
    assert not [beat for beat in found if lost.start <= beat.sample < lost.stop]
    assert len([beat for beat in found if beat.sample >= lost.stop]) > 100


@pytest.mark.parametrize("name", ["cu01", "cu12", "cu22"])
def test_records_of_the_creighton_database(
    name: str, mitdb: Path, scored: Scored, tmp_path: Path
) -> None:
    """250 Hz, one lead named ECG: nearly all beats outside fibrillation are found and scored."""
    path = database(mitdb, "cudb", name)
    whole, reference = read_recording(path), read_reference(path)
    assert (whole.fs, whole.leads) == (250, ("ECG",))
    length = 90 * 250
    part = as_wfdb(tmp_path, whole.samples[:length].astype(np.float64), 250, whole.leads)
    found = [beat for beat in scored(part) if beat.score is not None]
    expected = reference.sample[reference.sample < length - 250]
    samples = np.array([beat.sample for beat in found])
    assert len(match(expected, samples, 0.15 * 250).reference) > 0.95 * len(expected)


def test_a_record_of_the_noise_stress_database(mitdb: Path, scored: Scored, tmp_path: Path) -> None:
    """118 with electrode motion from the fifth minute on, at 24 dB."""
    path = database(mitdb, "nstdb", "118e24")
    whole, reference = read_recording(path), read_reference(path)
    first, last = 290 * FS, 380 * FS
    part = as_wfdb(tmp_path, whole.samples[first:last].astype(np.float64), FS, whole.leads)
    samples = np.array([b.sample for b in scored(part) if b.score is not None]) + first
    beats = reference.sample
    expected = beats[(beats >= first + FS) & (beats < last - FS)]
    assert len(match(expected, samples, 0.15 * FS).reference) > 0.97 * len(expected)


def database(mitdb: Path, name: str, record: str) -> Path:
    folder = mitdb.parent / name
    if not (folder / f"{record}.hea").exists():
        pytest.skip(f"no {name} beside {mitdb}")
    return folder / record


def test_recordings_may_be_shorter_than_a_beat(scored: Scored, tmp_path: Path) -> None:
    path = as_csv(tmp_path, np.zeros((3, 1)), 100, ["ECG"])
    assert isinstance(read_recording(path), Recording)
    assert scored(path) == []
