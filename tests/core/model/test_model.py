"""Scoring: the laws of beatgan.model.scorer, and what a calibration may say."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from beatgan.errors import ArtifactError
from beatgan.model.calibration import LOWEST, Calibration, shares
from beatgan.model.model import Model
from beatgan.model.networks import Networks
from beatgan.model.revision import revisions
from beatgan.model.torch_modules.context_networks import (
    BeatClassifier,
    ContextAutoencoder,
    RhythmDensity,
)
from beatgan.model.torch_modules.conversion import networks_of
from beatgan.model.torch_modules.networks import Autoencoder, Generator, Student
from beatgan.spec import PreprocessSpec
from beatgan.types import RHYTHM_SIZE, Beat, Floats, Quality, Score

EMPTY = np.empty(0, np.float32)
FULL = Calibration(
    location={"error": -2.0, "distance": -4.0, "prematurity": 0.0},
    spread={"error": 0.5, "distance": 1.5, "prematurity": 0.1},
    weight={"error": 1.0, "distance": 2.0, "prematurity": 0.5},
    cap={"error": 8.0, "distance": 1e3, "prematurity": 3.0},
    threshold=3.0,
)


def beat(window: Floats, **changes: Any) -> Beat:
    plain = Beat(0, 0, 0, "II", None, Quality.GOOD, window, window, -4.0, 0.0)
    return replace(plain, **changes)


def unusable() -> Beat:
    return beat(EMPTY, quality=Quality.UNUSABLE, distance=0.0)


def model_of(network: Autoencoder) -> Model:
    return Model(PreprocessSpec(), networks_of(network), FULL)


def weighing(*more: str) -> Calibration:
    """`FULL` and further components."""
    ones = dict.fromkeys(more, 1.0)
    return dataclasses.replace(
        FULL,
        location={**FULL.location, **dict.fromkeys(more, 0.0)},
        spread={**FULL.spread, **ones},
        weight={**FULL.weight, **ones},
        cap={**FULL.cap, **dict.fromkeys(more, 10.0)},
    )


def in_context(networks: Networks | None = None, threshold: float = FULL.threshold) -> Model:
    """A model of all three networks."""
    networks = networks or networks_of(ContextAutoencoder(), RhythmDensity(), BeatClassifier())
    calibration = weighing("rr_surprisal", "log_odds")
    return Model(PreprocessSpec(), networks, dataclasses.replace(calibration, threshold=threshold))


RNG = np.random.default_rng(0)
torch.manual_seed(0)
MODELS = [
    model_of(Student(amplitude=10.0)),
    model_of(Generator(width=4, amplitude=10.0)),
    in_context(),
]
NAMES = ["student", "teacher", "in context"]
WINDOWS = RNG.standard_normal((40, 320)).astype(np.float32)
BEATS = [
    beat(
        window,
        template=WINDOWS[0],
        distance=float(RNG.normal(-3, 1)),
        prematurity=float(RNG.exponential(0.1)),
        rr_ms=800.0,
        rhythm=0.2 * RNG.standard_normal(RHYTHM_SIZE).astype(np.float32),
        second_window=window if two else EMPTY,
        second_template=WINDOWS[1] if two else EMPTY,
        lead_distances=(-3.0, -2.0 if two else None),
    )
    for window, two in zip(WINDOWS, [True, False] * 20, strict=True)
]
ALONE = [[model.score([one])[0] for one in BEATS] for model in MODELS]


@pytest.mark.parametrize("which", [0, 1, 2], ids=NAMES)
@given(rows=st.lists(st.integers(-5, len(BEATS) - 1), max_size=300))
@settings(max_examples=40, deadline=None)
def test_a_score_does_not_depend_on_its_batch_to_the_bit(which: int, rows: list[int]) -> None:
    batch = [BEATS[row] if row >= 0 else unusable() for row in rows]
    for row, score in zip(rows, MODELS[which].score(batch), strict=True):
        if row < 0:
            assert score.value is None
            assert score.reconstruction.size == score.saliency.size == 0
        else:
            assert same(score, ALONE[which][row])


def same(one: Score, other: Score) -> bool:
    return (
        one.beat is other.beat
        and one.value == other.value
        and np.array_equal(one.reconstruction, other.reconstruction)
        and np.array_equal(one.saliency, other.saliency)
        and np.array_equal(one.spread, other.spread)
        and one.probabilities == other.probabilities
        and one.unrevised == other.unrevised
    )


def test_a_batch_larger_than_a_block_is_scored_alike() -> None:
    many = [BEATS[row % len(BEATS)] for row in range(1030)]
    scores = MODELS[0].score(many)
    assert all(same(score, ALONE[0][row % len(BEATS)]) for row, score in enumerate(scores))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_scores_as_the_cpu_does() -> None:
    torch.manual_seed(0)
    on_cuda = Model(PreprocessSpec(), networks_of(Student(amplitude=10.0)), FULL, "cuda")
    together = on_cuda.score(BEATS)
    assert all(same(a, on_cuda.score([a.beat])[0]) for a in together)
    for score, wanted in zip(together, ALONE[0], strict=True):
        assert score.value == pytest.approx(wanted.value, abs=1e-3)


def test_nothing_to_score() -> None:
    assert MODELS[0].score([]) == []
    assert [score.value for score in MODELS[0].score([unusable()])] == [None]


def test_a_score_is_the_weighted_sum_of_bounded_standardised_components() -> None:
    one = beat(WINDOWS[0], template=WINDOWS[1], distance=-1.0, prematurity=0.3)
    score, usual = MODELS[0].score([one, beat(WINDOWS[1])])
    assert np.allclose(score.saliency, (one.window - score.reconstruction) ** 2)
    # 90 samples before the R peak, which is sample 140, to 130 after
    own, context = (np.log(s.saliency[50:270].astype(np.float64).mean()) for s in (score, usual))
    error = 8 * np.tanh((own - 0.5 * context + 2) / 0.5 / 8)
    wanted = error + 2 * (-1.0 + 4) / 1.5 + 0.5 * 3 * np.tanh(0.3 / 0.1 / 3)
    assert score.value == pytest.approx(wanted, abs=1e-4)
    assert score.threshold == 3.0


def test_without_a_patients_scale_the_reference_is_not_asked() -> None:
    spec = dataclasses.replace(PreprocessSpec(), scale="beat")
    torch.manual_seed(0)
    model = Model(spec, networks_of(Student()), FULL)
    plain, other = model.score([beat(WINDOWS[0]), beat(WINDOWS[0], template=WINDOWS[1])])
    assert plain.value == other.value


def test_a_beat_with_nothing_to_compare_it_with_is_judged_by_the_rest() -> None:
    alone, usual = MODELS[0].score([beat(WINDOWS[0], distance=None), beat(WINDOWS[0])])
    assert alone.value == usual.value


def test_an_abnormal_component_raises_the_score() -> None:
    plain = beat(WINDOWS[0])
    unlike = [
        beat(np.where(np.arange(320) == 150, 60, WINDOWS[0]).astype(np.float32)),
        beat(WINDOWS[0], distance=0.0),
        beat(WINDOWS[0], prematurity=1.5),
    ]
    unlike[0] = replace(unlike[0], template=WINDOWS[0])
    usual, *raised = [score.value or 0.0 for score in MODELS[0].score([plain, *unlike])]
    assert all(value > usual + 1.4 for value in raised)


BAD = [float("nan"), float("inf"), float("-inf"), 1e30, -1e30]


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
@pytest.mark.parametrize("value", BAD)
def test_no_input_makes_a_score_that_is_not_finite(model: Model, value: float) -> None:
    spoilt = np.where(np.arange(320) == 150, value, WINDOWS[0]).astype(np.float32)
    beats = [
        beat(spoilt),
        beat(np.full(320, value, np.float32)),
        beat(WINDOWS[0], distance=value),
        beat(WINDOWS[0], prematurity=value),
        beat(WINDOWS[0], lead_distances=(value, None)),
        beat(WINDOWS[0], rr_ms=value, rhythm=np.full(RHYTHM_SIZE, value, np.float32)),
        beat(
            WINDOWS[0],
            second_window=np.full(320, value, np.float32),
            second_template=spoilt,
            lead_distances=(-3.0, value),
        ),
    ]
    plain, *scores = model.score([BEATS[0], *beats])
    assert same(plain, model.score([BEATS[0]])[0])
    for score in scores + model.revise(scores, [value] * len(scores)):
        assert score.value is not None
        assert np.isfinite(score.value)
        assert np.isfinite(score.spread).all()
        if model.revises:
            assert np.isfinite(score.probabilities or ()).all()
            assert sum(score.probabilities or ()) == pytest.approx(1)
        assert np.isfinite(score.reconstruction).all()
        assert np.isfinite(score.saliency).all()
    if not model.revises:  # nor sees that the template is spoilt alike
        assert all((score.value or 0) > FULL.threshold for score in scores[:2])


def test_a_perfect_component_cannot_hide_another_and_none_says_more_than_its_cap() -> None:
    values = np.array([-np.inf, np.nan, np.inf, -4.0])
    weight = FULL.weight
    distances = FULL.term("distance", values) / weight["distance"]
    assert distances.tolist() == [LOWEST, 0.0, 1e3, 0.0]
    assert FULL.term("prematurity", values).max() == 3.0 * weight["prematurity"]


def test_a_network_is_asked_in_eval_mode_whatever_its_modules() -> None:
    network = Generator(width=2).train()
    network(torch.randn(64, 320))  # moves the running statistics
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = model_of(network).score(BEATS)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(map(same, found, model_of(network.eval()).score(BEATS)))


def test_a_revision_knows_the_next_interval_and_depends_on_nothing_else() -> None:
    model = MODELS[2]
    scores = model.score([*BEATS, unusable()])
    next_rr_ms = [float(ms) for ms in RNG.uniform(300, 1500, len(scores))]
    revised = model.revise(scores, next_rr_ms)
    for score, again, ms in zip(scores, revised, next_rr_ms, strict=True):
        assert same(again, model.revise([score], [ms])[0])
    assert revised[-1] is scores[-1]  # it has no value
    for score, again in zip(scores[:-1], revised[:-1], strict=True):
        assert again.value != score.value
        assert again.probabilities != score.probabilities
        assert sum(again.probabilities or ()) == pytest.approx(1)
        assert again.reconstruction is score.reconstruction
        assert again.unrevised == score.unrevised
    assert [one.value for one in model.revise(revised, next_rr_ms)] == [
        one.value for one in revised
    ]


def test_a_score_is_its_parts_and_what_the_classes_say() -> None:
    model, (one,) = MODELS[2], MODELS[2].score(BEATS[:1])
    shares, unrevised = one.probabilities, one.unrevised
    assert shares is not None
    assert unrevised is not None
    odds = np.array([np.log(sum(shares[1:4]) / shares[0])])
    wanted = unrevised.value + model.calibration.term("log_odds", odds)[0]
    assert one.value == pytest.approx(wanted, abs=1e-6)


def test_a_model_without_classes_revises_nothing() -> None:
    for model in MODELS[:2]:
        scores = model.score(BEATS[:3])
        assert not model.revises
        assert model.revise(scores, [800.0] * 3) == scores
    assert MODELS[2].revises
    plain = MODELS[0].score(BEATS[:1])  # made before this model came into another's place
    assert MODELS[2].revise(plain, [800.0]) == plain
    assert MODELS[2].revise([], []) == []


def test_another_models_score_is_not_revised() -> None:
    """Its value, its threshold and its logits are of that model: a mixture would mean nothing."""
    networks = networks_of(ContextAutoencoder(), RhythmDensity(), BeatClassifier())
    model, restarted = in_context(networks), in_context(networks)
    scores = model.score(BEATS[:3])
    for other in (in_context(), in_context(networks, threshold=9.0)):
        again = other.revise(scores, [800.0] * 3)
        assert all(one is score for one, score in zip(again, scores, strict=True))
        assert revisions(other, scores, BEATS[1:4], 1e3) == [None] * 3
    assert all(map(same, restarted.revise(scores, [800.0] * 3), model.revise(scores, [800.0] * 3)))
    assert None not in revisions(restarted, scores, BEATS[1:4], 1e3)


@pytest.mark.parametrize("model", MODELS)
def test_what_the_components_add_sums_to_the_score(model: Model) -> None:
    scores = model.score([*BEATS[:5], replace(BEATS[0], distance=None, rr_ms=None)])
    for score in scores + model.revise(scores, [700.0] * len(scores)):
        found = shares(score)
        assert found.keys() == set(model.calibration.weight)
        assert sum(found.values()) == pytest.approx(score.value, abs=1e-6)
    assert shares(scores[-1])["distance"] == 0.0  # not known: as usual
    kept = scores[0].with_own_arrays()
    assert shares(kept) == shares(scores[0])


def test_a_revision_changes_the_share_of_the_classes_alone() -> None:
    (first,) = MODELS[2].score(BEATS[:1])
    (last,) = MODELS[2].revise([first], [1400.0])
    before, after = shares(first), shares(last)
    assert before.pop("log_odds") != after.pop("log_odds")
    assert before == after


def test_a_score_that_is_none_has_no_components() -> None:
    assert shares(MODELS[2].score([unusable()])[0]) == {}


def test_components_may_be_left_out_of_a_sum() -> None:
    values = np.array([1.0, 2.0])
    one = {"log_odds": 1.0}
    only = Calibration(location=one, spread=one, weight=one, cap=one, threshold=1.0)
    assert only.combine({"error": values}).tolist() == [0.0, 0.0]
    assert only.combine({"log_odds": values}).tolist() == only.term("log_odds", values).tolist()


def test_an_interval_that_is_not_known_surprises_nobody() -> None:
    known, unknown = MODELS[2].score([BEATS[0], replace(BEATS[0], rr_ms=None)])
    assert known.value != unknown.value
    assert known.probabilities == unknown.probabilities


def test_a_calibration_survives_plain_values() -> None:
    assert Calibration.from_dict(FULL.to_dict()) == FULL


def changed(part: str, values: Any) -> dict[str, Any]:
    return {**FULL.to_dict(), part: values}


NONSENSE: Sequence[tuple[dict[str, Any], str]] = [
    (changed("weight", {}), "components"),
    (changed("weight", {"colour": 1.0}), "colour"),
    (changed("spread", {"error": 1.0}), "differ"),
    (changed("spread", {**FULL.spread, "error": 0.0}), "not positive"),
    (changed("cap", {**FULL.cap, "error": 0.0}), "not positive"),
    (changed("cap", {"error": 1.0}), "differ"),
    (changed("location", {**FULL.location, "error": float("nan")}), "not finite"),
    (changed("threshold", float("inf")), "not finite"),
    (changed("threshold", "high"), "high"),
    (changed("spread", 3), "spread|calibration"),
    ({"threshold": 1.0}, "missing 'location'"),
]


@pytest.mark.parametrize(("values", "complaint"), NONSENSE)
def test_a_nonsensical_calibration_is_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ArtifactError, match=complaint):
        Calibration.from_dict(values)
