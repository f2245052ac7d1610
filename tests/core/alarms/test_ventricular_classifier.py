from unittest.mock import Mock

import numpy as np
import pytest
from msgspec.structs import replace

from beatgan.alarms.memory import BeatNumbers, beat_numbers
from beatgan.alarms.ventricular_beat import may_be_in_run
from beatgan.alarms.ventricular_classifier import (
    AGREED_OF_OTHERS,
    MOST_OWN_BEATS,
    UNKNOWN_DISTANCE,
    Row,
    VentricularClassifier,
)
from beatgan.errors import ArtifactError
from beatgan.spec import PreprocessSpec
from beatgan.types import Floats, Quality
from beatgan_train.training.coefficients import coefficients_of
from tests.core.alarms.test_ventricular_run import beats

COEFFICIENTS = coefficients_of("full").ventricular_run
CLASSIFIER = VentricularClassifier(PreprocessSpec(), COEFFICIENTS)


def row(kinds: str = "VVV", agreed: tuple[bool | None, ...] = (None,), own: int = 40) -> Row:
    return Row(beats(kinds, 400.0), agreed, own)


def test_a_run_is_more_likely_one_than_beats_of_other_classes() -> None:
    odds = [CLASSIFIER.run_log_odds(row(kinds)) for kinds in ("NNN", "vvv", "VvV", "VVV")]
    assert odds == sorted(odds)
    assert odds[0] < 0 < odds[-1]


def test_leads_that_agree_and_beats_of_the_patients_own_make_it_likelier() -> None:
    with_lead = [
        CLASSIFIER.run_log_odds(row(agreed=agreed))
        for agreed in ((False, False), (False, True), (True, True))
    ]
    assert with_lead == sorted(with_lead)
    assert CLASSIFIER.features(row(agreed=(None, None))).agreement == AGREED_OF_OTHERS
    young, known = (CLASSIFIER.run_log_odds(row(own=own)) for own in (2, MOST_OWN_BEATS))
    assert young < known == CLASSIFIER.run_log_odds(row(own=10 * MOST_OWN_BEATS))


def test_the_features_of_a_row() -> None:
    scores = beats("VWV", [800.0, 400.0, 500.0])
    found = CLASSIFIER.features(Row(scores, (True, False), 9))
    assert found.unevenness == pytest.approx(np.log(500 / 400))
    assert found.agreement == 0.5
    assert found.own_beats == pytest.approx(np.log(10))
    assert found.least <= found.mean
    assert found.likeness < 0
    assert found.poor == 0
    poor = replace(scores[1], beat=replace(scores[1].beat, quality=Quality.POOR))
    assert CLASSIFIER.features(Row([scores[0], poor], (True,), 9)).poor == 1
    unknown = replace(scores[0], beat=replace(scores[0].beat, lead_distances=(None, None)))
    assert CLASSIFIER.features(Row([unknown, scores[1]], (True,), 9)).distance == UNKNOWN_DISTANCE


def test_another_spec_is_read_at_its_own_r_peak() -> None:
    """The same beats in windows that begin earlier, or later, look the same."""
    plain = row()
    for before in (100, 170):
        classifier = VentricularClassifier(PreprocessSpec(before=before, after=180), COEFFICIENTS)
        moved = [
            replace(
                score,
                beat=replace(
                    score.beat,
                    window=shifted(score.beat.window, before - 140),
                    template=shifted(score.beat.template, before - 140),
                ),
            )
            for score in plain.scores
        ]
        found = classifier.run_log_odds(plain._replace(scores=moved))
        assert found == pytest.approx(CLASSIFIER.run_log_odds(plain), abs=0.1)


def shifted(window: Floats, by: int) -> Floats:
    """The window as it is with ``by`` samples more before the R peak."""
    return np.concatenate([np.repeat(window[:1], by), window]) if by > 0 else window[-by:]


@pytest.mark.parametrize(
    "spec", [PreprocessSpec(after=60, score_after=50), PreprocessSpec(after=69, score_after=60)]
)
def test_a_window_too_short_for_a_qrs_is_refused(spec: PreprocessSpec) -> None:
    with pytest.raises(ArtifactError, match="a window has"):
        VentricularClassifier(spec, COEFFICIENTS)


def test_a_beat_that_cannot_be_in_a_run_is_told_by_its_probabilities() -> None:
    (plain,) = beats("V", 400.0)
    for share in np.linspace(0.0, 0.1, 401).tolist():
        for classes in ((1 - share, 0.0, share, 0.0, 0.0), (1 - share, 0.0, 0.0, share, 0.0)):
            score = replace(plain, probabilities=classes)
            possible = CLASSIFIER.possible(score)
            found = may_be_in_run(BeatNumbers(*beat_numbers(score)))
            assert found or not possible
            assert found == possible or 0.046 < share < 0.096


def test_a_run_is_told_as_by_its_log_odds_but_most_rows_without_comparing_beats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        row(kinds, agreed=(agreed,), own=own)
        for kinds in ("NNN", "vvv", "VvV", "VVV", "VNV", "NVV")
        for agreed in (True, False)
        for own in (0, 5, 40)
    ]
    odds = [CLASSIFIER.run_log_odds(each) for each in rows]
    likeness = Mock(side_effect=CLASSIFIER.likeness)
    monkeypatch.setattr(CLASSIFIER, "likeness", likeness)
    assert [CLASSIFIER.is_run(each) for each in rows] == [each > 0 for each in odds]
    assert min(odds) < 0 < max(odds)
    assert likeness.call_count < len(rows)
    looks = [CLASSIFIER.look(score) for score in rows[0].scores]
    assert CLASSIFIER.features(rows[0]._replace(looks=looks)) == CLASSIFIER.features(rows[0])
