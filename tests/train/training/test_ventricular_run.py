"""What the weights of ventricular runs are fitted to, and that a fit finds what made its rows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from beatgan.alarms.ventricular_classifier import Features
from beatgan.ec57.episodes import RhythmReference, Span
from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.records import Recording
from beatgan_train.training.coefficients import coefficients_of, ventricular_run
from beatgan_train.training.coefficients.noise_stress import NOISY_S, with_noise
from beatgan_train.training.coefficients.ventricular_run import (
    NO_RUN,
    NOISY,
    RUN,
    UNCERTAIN,
    Rows,
    Seen,
    alarmed,
    fold_fits,
    labelled,
    log_odds,
)

FS = 100.0
PRESENT = coefficients_of("full").ventricular_run
COUNT = len(Features._fields)
PLAIN = Features(*np.zeros(COUNT))


def recording(seconds: float = 100.0, leads: int = 1) -> Recording:
    names = ("II", "V5", "V1")[:leads]
    return Recording("r", FS, names, np.zeros((round(seconds * FS), leads), np.float32))


def seen(*spans: tuple[float, float]) -> list[Seen]:
    """Rows from one second to another, each known half a second later."""
    return [
        Seen(round(first * FS), round(last * FS), round((last + 0.5) * FS), PLAIN)
        for first, last in spans
    ]


def beats(first: float, count: int, symbol: str) -> tuple[list[float], list[str]]:
    return [first + 0.4 * k for k in range(count)], [symbol] * count


def rhythm(*parts: tuple[list[float], list[str]], flutter: Sequence[Span] = ()) -> RhythmReference:
    time = tuple(each for times, _ in parts for each in times)
    symbol = tuple(each for _, symbols in parts for each in symbols)
    return RhythmReference("r", 100.0, time, symbol, tuple(flutter))


# --- which rows are a run -------------------------------------------------------------------------


def test_rows_inside_a_run_are_one_and_rows_near_it_are_neither() -> None:
    told = rhythm(beats(10, 20, "N"), beats(20, 10, "V"), beats(30, 20, "N"))
    rows = labelled(
        "svdb",
        recording(),
        told,
        seen((10, 11), (19.5, 20.4), (20, 20.8), (22, 23.7), (23.2, 24.0), (26.0, 26.5), (30, 31)),
    )
    assert rows.end.tolist() == [11, 20.8, 23.7, 31]
    assert rows.kind.tolist() == [NO_RUN, RUN, RUN, NO_RUN]
    assert rows.features.shape == (4, COUNT)
    assert rows.alarm is None
    (run,) = rows.runs
    assert (run.begin, run.end) == pytest.approx((20, 23.6))


def test_what_is_in_flutter_is_neither() -> None:
    told = rhythm(beats(10, 5, "V"), flutter=[Span(40.0, 50.0)])
    rows = labelled("mitdb", recording(), told, seen((10, 11), (41, 42), (51, 52), (60, 61)))
    assert rows.end.tolist() == [11, 61]
    assert rows.kind.tolist() == [RUN, NO_RUN]


def test_a_recording_without_any_row_has_none() -> None:
    rows = labelled("cinc2017", recording(), rhythm(), [])
    assert rows.features.shape == (0, COUNT)
    assert (len(rows.kind), rows.seconds) == (0, 100.0)


@pytest.mark.parametrize(
    ("kind", "true", "kinds", "alarm"),
    [
        ("Ventricular_Tachycardia", True, [UNCERTAIN], True),
        ("Ventricular_Flutter_Fib", True, [UNCERTAIN], True),
        ("Ventricular_Tachycardia", False, [NO_RUN, NO_RUN], False),
        ("Asystole", True, [NO_RUN, NO_RUN], None),
        ("Tachycardia", False, [NO_RUN, NO_RUN], None),
    ],
)
def test_a_monitors_alarm_says_of_the_last_seconds_whether_there_is_a_run(
    kind: str, true: bool, kinds: list[int], alarm: bool | None
) -> None:
    rows = alarmed(recording(), kind, true, seen((10, 11), (90, 91)))
    assert rows is not None
    assert (rows.kind.tolist(), rows.alarm) == (kinds, alarm)
    assert rows.late.tolist() == [False, True][-len(kinds) :]


def test_a_true_tachycardia_may_be_ventricular_and_tells_nothing() -> None:
    assert alarmed(recording(), "Tachycardia", True, seen((90, 91))) is None


# --- the fit --------------------------------------------------------------------------------------

RNG = np.random.default_rng(1)
WEIGHTS = np.linspace(-1.0, 1.0, COUNT)


def rows(name: str, shift: float, kind: int, database: str = "svdb", count: int = 30) -> Rows:
    """Rows of one recording, ``shift`` on the side of runs."""
    features = RNG.normal(0, 1, (count, COUNT)) + shift * WEIGHTS
    end = np.linspace(1.0, 91.0, count)
    runs = (Span(0.0, 100.0),) if kind == RUN else ()
    late = np.ones(count, np.bool_)
    return Rows(database, name, 100.0, features, np.full(count, kind), end, late, runs)


def parts() -> list[Rows]:
    made = [rows(f"run{k}", 1.5, RUN) for k in range(6)]
    made += [rows(f"none{k}", -1.5, NO_RUN) for k in range(6)]
    for k in range(4):  # two rows of a stretch are a run, the rest is none: which, nobody says
        clear, other = rows("x", 1.5, UNCERTAIN, count=2), rows("x", -1.5, UNCERTAIN)
        both = replace(
            other,
            database="cinc2015",
            record=f"true{k}",
            features=np.concatenate([clear.features, other.features]),
            kind=np.full(32, UNCERTAIN),
            end=np.linspace(1.0, 94.0, 32),
            late=np.ones(32, np.bool_),
            alarm=True,
        )
        made.append(both)
        made.append(replace(rows(f"false{k}", -1.5, NO_RUN, "cinc2015"), alarm=False))
    return made


def test_a_fit_tells_runs_from_others() -> None:
    made = parts()
    found = ventricular_run.fit(made)
    signs = np.sign([getattr(found, name) for name in Features._fields])
    assert (signs * np.sign(WEIGHTS)).sum() > COUNT / 2
    for each in made:
        odds = log_odds(each, found)
        if each.alarm:
            assert (odds > 0)[:2].all()
            assert (odds > 0).mean() < 0.2
        else:
            assert ((odds > 0) == (each.kind == RUN)).mean() > 0.9
    everywhere = {each.patient: found for each in made}
    line = ventricular_run.cost(made, everywhere)
    assert "cinc2015 4 of 4 true, " in line
    assert "svdb 6 of 6 runs, " in line


def test_the_same_recording_with_noise_is_of_the_same_patient() -> None:
    clean = rows("100", 0.0, NO_RUN)
    assert replace(clean, database="svdb" + NOISY).patient == clean.patient == "svdb/100"


def test_a_fold_leaves_a_patient_out_with_noise_and_without() -> None:
    made = parts()
    made += [replace(each, database=each.database + NOISY) for each in made]
    left_out = [[each.patient for each in some] for some, _ in fold_fits(made)]
    assert sorted(name for names in left_out for name in names) == sorted(
        each.patient for each in made
    )
    for names in left_out:
        assert all(names.count(name) == 2 for name in names)


def test_a_refit_says_what_it_costs_by_record_and_by_database() -> None:
    fit = ventricular_run.refit(parts(), fold_fits(parts()), PRESENT)
    assert (fit.name, fit.present) == ("ventricular_run", PRESENT)
    costs = "\n".join(fit.costs)
    assert costs.count("cross-validated by record") == len(ventricular_run.SHIFTS)
    assert costs.count("as chosen") == 1
    assert "svdb left out: " in costs
    assert "cinc2015 left out: " in costs
    assert "present, fitted to the same records: " in costs


# --- noise mixed in -------------------------------------------------------------------------------

NOISES = {
    name: RNG.normal(0, 50, 100_000).cumsum() * 0.01 + RNG.normal(0, 50, 100_000)
    for name in ("em0", "em1", "ma0", "bw0")
}


def ecg(seconds: float, fs: float = 250.0, leads: int = 2) -> Recording:
    one = np.resize(synthetic_ecg(30.0, fs, ectopic_every=0), round(seconds * fs))
    return Recording("r", fs, ("II", "V5")[:leads], np.stack([one] * leads, axis=1))


def test_noise_lies_on_every_other_stretch_and_the_first_minute_is_clean() -> None:
    clean = ecg(300.0)
    noisy = with_noise(clean, NOISES, np.random.default_rng(0))
    assert noisy.samples.dtype == np.float32
    assert noisy.samples.shape == clean.samples.shape
    changed = (noisy.samples != clean.samples).any(axis=1)
    stretches = changed[(60 * 250) :].reshape(-1, round(NOISY_S * 250)).mean(axis=1)
    assert not changed[: 60 * 250].any()
    assert (stretches[::2] > 0.99).all()
    assert (stretches[1::2] == 0).all()


def test_of_a_short_recording_the_first_quarter_is_clean() -> None:
    clean = ecg(30.0, leads=1)
    changed = with_noise(clean, NOISES, np.random.default_rng(0)).samples != clean.samples
    assert not changed[: round(7.5 * 250)].any()
    assert changed[round(7.5 * 250) :].mean() > 0.99


def test_noise_is_the_same_by_the_same_seed_and_some_is_on_one_lead() -> None:
    clean = ecg(1260.0)
    one, same = (with_noise(clean, NOISES, np.random.default_rng(7)) for _ in range(2))
    other = with_noise(clean, NOISES, np.random.default_rng(8))
    assert np.array_equal(one.samples, same.samples)
    assert not np.array_equal(one.samples, other.samples)
    added = (one.samples - clean.samples)[60 * 250 :].reshape(-1, round(NOISY_S * 250), 2)
    on = added.std(axis=1)[::2] > 0
    assert on.any(axis=1).all()
    assert 0.5 < on.all(axis=1).mean() < 0.9


def test_noise_is_as_loud_beside_a_loud_signal() -> None:
    """At an SNR: in millivolt ten times as much where the signal is ten times as high."""
    plain = ecg(300.0)
    loud = replace(plain, samples=10 * plain.samples)
    added = [
        with_noise(each, NOISES, np.random.default_rng(0)).samples - each.samples
        for each in (plain, loud)
    ]
    assert added[1].std() == pytest.approx(10 * added[0].std(), rel=1e-3)


def test_lost_samples_do_no_harm() -> None:
    clean = ecg(120.0)
    clean.samples[5000:6000] = np.nan
    assert np.isfinite(with_noise(clean, NOISES, np.random.default_rng(0)).samples).all()
