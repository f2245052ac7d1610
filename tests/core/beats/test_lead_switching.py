"""The rules by which a lead's beats count. What comes of them: test_failing_leads.py."""

from typing import Any

import numpy as np
import pytest

from beatgan.beats import lead_pipeline, lead_switching
from beatgan.beats.lead_pipeline import NEAR
from beatgan.beats.lead_switching import RETURN
from beatgan.signal import qrs_detector
from beatgan.signal.signal_quality import IN_FLAT, IN_GAP, IN_NOISE
from beatgan.spec import PreprocessSpec

SPEC = PreprocessSpec()


def leads(count: int = 2) -> Any:
    records: Any = np.zeros(count, lead_pipeline.layout(SPEC))
    for column, each in enumerate(records):
        lead_pipeline.begin(each, column)
    return records


def test_conditions_add_up_and_the_last_that_ends_makes_a_lead_well() -> None:
    both = leads()
    lead_switching.set_condition(both[0], IN_GAP, True, 100)
    lead_switching.set_condition(both[0], IN_NOISE, True, 200)
    lead_switching.set_condition(both[0], IN_GAP, False, 300)
    assert (both[0]["conditions"], both[0]["usable_since"]) == (IN_NOISE, 300)
    assert not lead_switching.suspended(both)
    lead_switching.set_condition(both[1], IN_FLAT, True, 400)
    assert lead_switching.suspended(both)
    lead_switching.set_condition(both[0], IN_NOISE, False, 500)
    assert not lead_switching.suspended(both)
    assert (both[0]["conditions"], both[0]["usable_since"]) == (0, 500)


def test_a_beat_counts_on_the_lead_in_use_and_on_another_only_in_its_place() -> None:
    both, r_peak, now = leads(), 5000, 5186
    assert lead_switching.counts(both, 0, 0, now, r_peak, 0)
    assert not lead_switching.counts(both, 0, 1, now, r_peak, 0)
    assert not lead_switching.counts(both, 0, 1, now, r_peak, now - r_peak - 1)
    assert lead_switching.counts(both, 0, 1, now, r_peak, now - r_peak)
    lead_switching.set_condition(both[0], IN_FLAT, True, 4000)
    assert lead_switching.counts(both, 0, 1, now, r_peak, 0)
    lead_switching.set_condition(both[1], IN_FLAT, True, 4500)
    assert not lead_switching.counts(both, 0, 1, now, r_peak, 0)


def test_a_better_lead_counts_again_after_a_while_and_a_worse_one_never() -> None:
    both = leads()
    both["usable_since"] = 4000
    for now, back in ((4000 + RETURN - 1, False), (4000 + RETURN, True)):
        assert lead_switching.counts(both, 1, 0, now, now - 186, 0) == back
        assert not lead_switching.counts(both, 0, 1, now, now - 186, 0)


def test_the_offset_between_two_leads_is_learnt_from_apexes_known_by_then() -> None:
    both = leads()
    other = both[1]
    for r_peak in range(1000, 30000, 300):
        other["previous"], other["waiting"] = r_peak - 295, 1
        other["found"][0] = np.array((r_peak + 5, r_peak + 90, 1), qrs_detector.DETECTION)
        found = lead_switching.compare_r_peaks(both, 0, r_peak, r_peak + 100)
        assert found == lead_switching.AGREE
    assert other["offset"] == pytest.approx(5, abs=0.01)
    assert both[0]["offset"] == 0
    assert lead_switching.position(other, 31005) == 31000
    found = lead_switching.compare_r_peaks(both, 0, 40000, 40000 + 89)  # nothing known near it
    assert found == lead_switching.DISAGREE
    other["found"][0] = np.array((40020, 40090, 1), qrs_detector.DETECTION)
    lead_switching.compare_r_peaks(both, 0, 40000, 40089)
    assert other["offset"] == pytest.approx(5, abs=0.01)
    other["found"][0] = np.array((40000 + NEAR + 1, 40080, 1), qrs_detector.DETECTION)
    lead_switching.compare_r_peaks(both, 0, 40000, 40089)
    assert other["offset"] == pytest.approx(5, abs=0.01)


def test_leads_can_only_agree_where_another_is_usable() -> None:
    both = leads()
    both[1]["conditions"] = IN_FLAT
    assert lead_switching.compare_r_peaks(both, 0, 1000, 1100) == lead_switching.UNKNOWN
    assert lead_switching.compare_r_peaks(both[:1], 0, 1000, 1100) == lead_switching.UNKNOWN
