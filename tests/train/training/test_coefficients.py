"""The alarms' coefficients are fitted as the front end will use them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from beatgan.alarms.irregularity import Features, Irregularity
from beatgan.coefficients import AtrialFibrillationCoefficients
from beatgan.ec57.annotations import Reference
from beatgan.ec57.episodes import RhythmReference, Span
from beatgan.errors import ArtifactError, UsageError
from beatgan.model.artifact import VERSION, build
from beatgan.model.calibration import Calibration
from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.model.torch_modules.conversion import networks_of
from beatgan.model.torch_modules.networks import Student
from beatgan.records import Recording
from beatgan.spec import PreprocessSpec
from beatgan_train.data.beat_set import beats_of
from beatgan_train.training.coefficients import (
    atrial_fibrillation,
    coefficients_of,
    noise,
    read_coefficients,
    vf,
)
from beatgan_train.training.coefficients.noise_stress import gain, in_noise, mixed
from beatgan_train.training.coefficients.regression import (
    FOLDS,
    Fit,
    flat,
    folds,
    logistic_regression,
)
from beatgan_train.training.model_file import convert, read, write

SPEC, PRESENT = PreprocessSpec(), coefficients_of("full")
FS = 360.0


def recording(seconds: float = 600.0) -> tuple[Recording, Reference]:
    """Synthetic ECG, and its beats as the front end finds them."""
    ecg = synthetic_ecg(seconds, FS, ectopic_every=0)
    made = Recording("r", FS, ("MLII",), ecg[:, None].astype(np.float32))
    beats = beats_of(made, SPEC, PRESENT)
    at = np.array([beat.sample for beat in beats], np.int64)
    return made, Reference(FS, at, np.full(len(at), "N"), ())


def test_logistic_regression_finds_the_weights_that_made_the_rows() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(50_000, 2)) * [1.0, 10.0]
    positive = random.uniform(size=len(x)) < 1 / (1 + np.exp(-(2 * x[:, 0] - 0.1 * x[:, 1] + 1)))
    weight = np.ones(len(x))
    assert logistic_regression(x, positive, weight) == pytest.approx([2, -0.1, 1], rel=0.05)
    assert abs(logistic_regression(x, positive, weight, ridge=1e5)[0]) < 0.5


def test_all_recordings_of_a_patient_are_left_out_together() -> None:
    names = [f"p{k}" for k in range(12)]
    fold = folds([*names, *names])
    assert fold.keys() == set(names)
    assert set(fold.values()) == set(range(FOLDS))


def test_a_fit_reports_every_coefficient_and_its_change() -> None:
    changed = replace(PRESENT.vf, leakage=-10.0)
    lines = Fit("vf", PRESENT.vf, changed, ("cost",)).lines()
    assert len(lines) == 1 + len(flat(PRESENT.vf)) + 1
    assert any("leakage" in line and "+3.59" in line for line in lines)


def test_noise_is_mixed_in_at_the_ratio_that_nst_means() -> None:
    made, reference = recording()
    white = np.random.default_rng(0).normal(size=len(made.samples))
    ecg = made.samples[:, 0].astype(np.float64)
    factor = {snr: gain(ecg, reference, white, snr) for snr in (0, 20)}
    assert factor[0] == pytest.approx(10 * factor[20])
    noisy = mixed(made, 0, reference, white, 0.0).samples[:, 0]
    changed = noisy != made.samples[:, 0]
    assert np.array_equal(changed, in_noise(np.arange(len(ecg)), FS))


def test_noise_rows_are_false_beats_of_noisy_stretches_and_beats_of_clean_ones() -> None:
    made, reference = recording()
    clean = noise.rows_of(noise.Trial(made, reference, False), SPEC, PRESENT)
    assert not clean.noise.any()
    white = 0.3 * np.random.default_rng(0).normal(size=len(made.samples)).cumsum()
    stressed = mixed(made, 0, reference, white - white.mean(), -6.0)
    rows = noise.rows_of(noise.Trial(stressed, reference, True), SPEC, PRESENT)
    assert rows.noise.all()
    assert np.isfinite(rows.features).all()
    counts = noise.declared(noise.Trial(made, reference, False), SPEC, PRESENT)
    assert counts.sum() == counts[0].sum() == len(reference.sample)


def test_a_sine_is_a_row_of_fibrillation_where_it_is_annotated() -> None:
    ecg = synthetic_ecg(60.0, FS, ectopic_every=0)
    t = np.arange(len(ecg)) / FS
    ecg[7200:] = np.sin(2 * np.pi * 5 * t)[7200:]
    made = Recording("r", FS, ("MLII",), ecg[:, None].astype(np.float32))
    reference = RhythmReference("r", 60.0, (), (), (Span(20.0, 60.0),))
    trial = vf.Trial("r", "cudb", made, reference)
    rows = vf.rows_of(trial, SPEC)
    assert rows.inside.sum() > 50
    assert rows.far.sum() > 20
    assert not (rows.inside & rows.far).any()
    alarms = vf.statuses(trial, SPEC, PRESENT).alarms(1.75)
    assert [20 <= each.raised <= 26 for each in alarms] == [True]
    assert "1 of 1 within 10 s; false: " in vf.cost([vf.statuses(trial, SPEC, PRESENT)], 1.75)


def rhythm_rows(name: str, kind: str, count: int, shift: float) -> atrial_fibrillation.Rows:
    """Rows of a stream whose features lie ``shift`` higher than usual."""
    features = np.random.default_rng(len(name)).normal(shift, 1.0, (count, len(Features._fields)))
    at = [250 * (40 + 6 * k) for k in range(count)]
    inside = np.full(count, kind == "A")
    known_at = [each + 130 for each in at]
    return atrial_fibrillation.Rows(
        name, kind, 250.0, 250 * 300, 250, at, known_at, features, inside, ~inside
    )


def test_irregular_rhythms_are_told_from_others() -> None:
    rows = [
        rhythm_rows(f"{kind}{'x' * k}", kind, 30, 1.5 if kind == "A" else -1.5)
        for kind in ("A", "N", "O", "mitdb", "svdb")
        for k in range(6)
    ]
    found = Irregularity(SPEC, atrial_fibrillation.fit(rows))
    inside = [found.log_odds(Features(*each)) for each in rows[0].features]
    assert np.mean(inside) > 3
    starts = {each.name: atrial_fibrillation.begun(each, found, 0.75) for each in rows}
    assert all(bool(starts[each.name]) == (each.kind == "A") for each in rows)
    line = atrial_fibrillation.cost(rows, dict.fromkeys(starts, found), 0.75)
    assert "6 of 6 (100.0%) A, 0 of 6 (0.0%) N, 0 of 6 (0.0%) O, 0 false in 0.5 h mitdb" in line


def test_a_stream_counts_as_one_however_many_rows_it_has() -> None:
    def weights(count: int) -> AtrialFibrillationCoefficients:
        rows = [rhythm_rows("A", "A", 40, 0.5), rhythm_rows("N", "N", 40, -0.5)]
        other = rhythm_rows("Nother", "N", 40, 0.2)
        again = np.repeat(np.arange(40), count)
        longer = replace(
            other,
            features=other.features[again],
            inside=other.inside[again],
            far=other.far[again],
        )
        return atrial_fibrillation.fit([*rows, longer])

    assert weights(1) == weights(5)


def test_a_recording_is_joined_with_itself_between_two_beats() -> None:
    ecg = synthetic_ecg(20, 250.0, bpm=75.0, ectopic_every=0)
    drift = np.linspace(0, 3, ecg.size, dtype=np.float32)
    recording = Recording("one", 250.0, ("II",), (ecg + drift)[:, np.newaxis])
    beats = beats_of(recording, SPEC, PRESENT)
    whole = atrial_fibrillation.joined(recording, beats)
    assert len(whole.samples) == 180 * 250
    again = beats_of(whole, SPEC, PRESENT)
    intervals = [each.rr_ms for each in again if each.rr_ms is not None]
    assert len(intervals) > 215
    assert max(intervals) < 900
    assert min(intervals) > 700


def test_a_model_is_given_other_coefficients_from_a_file(tmp_path: Path) -> None:
    old = tmp_path / "old.pt"
    location = {"error": 0.0, "distance": 0.0}
    ones = dict.fromkeys(location, 1.0)
    calibration = Calibration(location, ones, ones, ones, 1.0)
    write(build("student", SPEC, networks_of(Student()), calibration, PRESENT, {}), old)
    changed = replace(PRESENT, vf=replace(PRESENT.vf, leakage=-10.0))
    file = tmp_path / "coefficients.json"
    file.write_text(json.dumps(changed.to_dict()))
    made = convert(old, read_coefficients(file))
    assert made.coefficients == changed
    assert made.provenance["converted_from"] == {"format": VERSION, "digest": read(old).digest}
    assert made.digest != read(old).digest


@pytest.mark.parametrize(
    ("text", "kind"),
    [("{", UsageError), ("[]", ArtifactError), ('{"vf": {}}', ArtifactError)],
)
def test_a_file_without_coefficients_is_refused(
    text: str, kind: type[Exception], tmp_path: Path
) -> None:
    file = tmp_path / "coefficients.json"
    file.write_text(text)
    with pytest.raises(kind, match=r"coefficients\.json"):
        read_coefficients(file)
    with pytest.raises(UsageError, match="No such file"):
        read_coefficients(tmp_path / "none")
