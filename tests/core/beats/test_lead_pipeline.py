"""One lead: what it keeps, what it compares a beat with, and what it learns."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.beats import beat_quality, lead_pipeline
from beatgan.beats.lead_pipeline import SETTLE, TURN
from beatgan.model.synthetic_ecg import beat_times, synthetic_ecg
from beatgan.signal import filters, rhythm_status, signal_quality
from beatgan.signal.latest_samples import BLOCK, append
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles
from beatgan_train.training.coefficients import coefficients_of

COEFFICIENTS = coefficients_of("full")

SPEC, FS = PreprocessSpec(), 360.0
FREE = 1 << 20  # no lag given: the window is moved so as to match best


@dataclass
class Compared:
    """What a lead said of one beat."""

    distance: float
    lag: int
    quality: int
    window: Doubles
    shape: Doubles


class Lead:
    """A lead at the model's rate, and how much of its signal there is."""

    def __init__(self) -> None:
        self.record: Any = np.zeros(1, lead_pipeline.layout(SPEC))[0]
        self.plan: Any = lead_pipeline.plan(SPEC, COEFFICIENTS, FS)[0]
        self.end = 0
        lead_pipeline.begin(self.record, 0)

    def push(self, x: Doubles) -> list[int]:
        """Push ``x`` block by block; the apexes found, all of them taken from the lead."""
        r_peaks = []
        for start in range(0, x.size, BLOCK):
            r_peaks += self.block(x[start : start + BLOCK])
        return r_peaks

    def block(self, x: Doubles) -> list[int]:
        changes = np.empty(signal_quality.MAX_CHANGES, signal_quality.CHANGE)
        no_change_run, taps = np.empty(x.size, np.int64), np.zeros((1, 1))
        statuses = np.empty(rhythm_status.MAX_STATUSES, rhythm_status.STATUS)
        made, _ = lead_pipeline.push(
            self.record, self.plan, taps, x, self.end, self.end, changes, no_change_run, statuses
        )
        assert made == self.end + x.size
        self.end = made
        r_peaks: list[int] = self.record["found"]["r_peak"][: self.record["waiting"]].tolist()
        self.record["waiting"] = 0
        return r_peaks

    def whole(self, r_peak: int) -> bool:
        return lead_pipeline.whole(self.record, self.plan, r_peak, self.end)

    def compare(self, r_peak: int, lag: int = FREE) -> Compared:
        pair = np.empty((2, SPEC.length))
        said = lead_pipeline.compare(
            self.record, self.plan, r_peak, self.end, lag, pair[0], pair[1]
        )
        return Compared(*said, *pair)


def ecg(seconds: float) -> Doubles:
    return synthetic_ecg(seconds, FS).astype(np.float64)


def filtered(x: Doubles) -> Doubles:
    return filters.BandPass(SPEC.rate, SPEC.highpass_hz, SPEC.lowpass_hz).push(x)


@pytest.fixture
def begun() -> tuple[Lead, list[int]]:
    """A lead that saw two beats, and where their apexes lie in the filtered signal."""
    each, signal = Lead(), ecg(30)
    r_peaks = [round(t * FS) + int(each.plan["late"]) for t in beat_times(30)]
    each.push(signal[: r_peaks[1] + SPEC.after + SPEC.align + 20])
    return each, r_peaks


def test_it_finds_the_beats_of_its_signal() -> None:
    each = Lead()
    found = np.array(each.push(ecg(30))) - each.plan["late"]
    assert np.abs(found - beat_times(30)[: found.size] * FS).max() <= 9
    assert found.size >= beat_times(30).size - 1


def test_a_window_is_whole_once_its_last_sample_has_come_and_while_it_is_remembered() -> None:
    each, r_peak = Lead(), 1000
    each.push(ecg(10)[: r_peak + SPEC.after + SPEC.align - 1])
    assert not each.whole(r_peak)
    each.push(ecg(10)[each.end : each.end + 1])
    assert each.whole(r_peak)
    each.push(ecg(10)[each.end : each.end + BLOCK])
    assert each.whole(r_peak)


@pytest.mark.parametrize("at", [-SPEC.before - SPEC.align, 0, SPEC.after + SPEC.align - 1])
def test_a_window_with_one_lost_sample_is_not_whole(at: int) -> None:
    signal, r_peak = ecg(10), 1000
    signal[r_peak + at] = np.nan
    each = Lead()
    each.push(signal[: r_peak + SPEC.after + SPEC.align + 20])
    assert not each.whole(r_peak)
    assert each.whole(r_peak + 1) == (at == -SPEC.before - SPEC.align)


def test_a_leads_first_beat_is_its_own_reference(begun: tuple[Lead, list[int]]) -> None:
    each, r_peaks = begun
    first = each.compare(r_peaks[1])
    signal = filtered(ecg(30))
    assert np.isnan(first.distance)
    assert first.lag == 0
    assert np.array_equal(first.window, signal[r_peaks[1] - SPEC.before :][: SPEC.length])
    assert np.array_equal(first.shape, first.window)
    assert each.record["beat_count"] == 1


def test_a_beat_is_compared_with_the_reference_before_it_was_learnt() -> None:
    each, signal, late = Lead(), ecg(60), filters.design(360, 0.5, 40.0)[2]
    shape = None
    for r_peak in (round(t * FS) + late for t in beat_times(60)[1:20]):
        each.push(signal[each.end : r_peak + SPEC.after + SPEC.align])
        before = each.record["template"].copy()
        said = each.compare(r_peak)
        if shape is not None:
            assert np.array_equal(said.shape, before)
            assert abs(said.lag) <= SPEC.align
        shape = said.shape
        assert not np.array_equal(each.record["template"], before)
    assert each.record["beat_count"] == 19
    assert said.quality == beat_quality.GOOD


def test_a_lag_that_is_given_is_kept_and_any_other_is_sought(
    begun: tuple[Lead, list[int]],
) -> None:
    each, r_peaks = begun
    each.compare(r_peaks[1])
    given = each.compare(r_peaks[1] + 2, 1)
    assert given.lag == 1
    sought = each.compare(r_peaks[1] + 2)
    assert sought.lag == -2
    assert sought.distance < given.distance


def test_while_filters_settle_a_beat_is_poor_and_its_noise_not_learnt() -> None:
    each, signal = Lead(), ecg(10)
    r_peak = round(beat_times(10)[3] * FS) + int(each.plan["late"])
    signal[r_peak - SPEC.before - SPEC.align - 20] = np.nan
    each.push(signal[: r_peak + SPEC.after + SPEC.align])
    before = each.record["noise"].copy()
    assert each.compare(r_peak).quality == beat_quality.POOR
    assert each.record["noise"] == before


def test_all_signal_forgotten_no_window_is_whole_but_the_patient_is_known(
    begun: tuple[Lead, list[int]],
) -> None:
    each, r_peaks = begun
    each.compare(r_peaks[1])
    shape = each.record["template"].copy()
    lead_pipeline.forget_signal(each.record)
    assert not each.whole(r_peaks[1])
    assert np.array_equal(each.record["template"], shape)


@pytest.mark.parametrize("fs", [50.0, 128.0, 257.0, 359.98, 360.0, 1000.0, 2000.0])
def test_turns_are_of_about_the_same_length_at_any_rate(fs: float) -> None:
    plan = lead_pipeline.plan(SPEC, COEFFICIENTS, fs)[0]
    made = -(-int(plan["turn"]) * int(plan["den"]) // int(plan["num"]))
    assert 0 < made <= TURN
    assert TURN < BLOCK


def test_the_history_holds_a_window_what_settles_before_it_and_a_block_behind_it() -> None:
    kept = lead_pipeline.layout(SPEC)["history"].shape[0]
    assert kept >= SETTLE + SPEC.length + 2 * SPEC.align + BLOCK


@given(st.lists(st.integers(1, BLOCK), min_size=1, max_size=20))
@settings(deadline=None)
def test_the_latest_samples_are_kept_whatever_the_blocks(sizes: list[int]) -> None:
    room = BLOCK + 100
    kept, size, signal = np.full(room, np.nan), room, np.arange(float(sum(sizes)))
    everything = np.concatenate([np.full(room, np.nan), signal])
    done = 0
    for each in sizes:
        size = append(kept, size, signal[done : done + each])
        done += each
        assert each + 100 <= size <= room
        assert np.array_equal(
            kept[:size], everything[room + done - size : room + done], equal_nan=True
        )


def test_two_leads_take_no_more_than_64_kib() -> None:
    assert 2 * lead_pipeline.layout(SPEC).itemsize < 60 * 1024
