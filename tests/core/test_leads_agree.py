"""Whether another lead has found a beat, too: the same however the signal comes."""

from collections.abc import Iterable

import numpy as np
import pytest

from beatgan.frontend import Event, Frontend
from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.spec import PreprocessSpec
from beatgan.types import Beat, Floats
from beatgan_train.training.coefficients import coefficients_of

FS = 250.0
SECONDS = 30
COEFFICIENTS = coefficients_of("full")
ECG = synthetic_ecg(SECONDS, FS, ectopic_every=0)
HELD = SECONDS // 2  # the second lead of HALF has the heart until then, noise from there on


def noise(count: int) -> Floats:
    """With peaks of its own, as large as the heart's."""
    return np.random.default_rng(3).normal(0.0, 0.4, count).astype(np.float32)


def with_lead(second: Floats) -> Floats:
    return np.stack([ECG, second], axis=1)


HALF = with_lead(np.where(np.arange(ECG.size) < HELD * FS, ECG, noise(ECG.size)))


def front(*names: str) -> Frontend:
    return Frontend(PreprocessSpec(), COEFFICIENTS, FS, names or ("II", "V5"))


def told(events: Iterable[Event]) -> list[tuple[int, bool | None]]:
    return [(each.sample, each.leads_agree) for each in events if isinstance(each, Beat)]


def agreement(samples: Floats) -> list[bool | None]:
    """Of the beats from the fifth second on: until then offsets between leads are learnt."""
    found = told(front().push(samples))
    assert len(found) > 25
    return [agree for at, agree in found if at > 5 * FS]


@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.02])
def test_leads_of_one_heart_agree(delay_s: float) -> None:
    """Also where the second sees it later, or upside down."""
    shifted = np.roll(ECG, round(delay_s * FS))
    assert set(agreement(with_lead(shifted))) == {True}
    assert set(agreement(with_lead(-0.5 * shifted))) == {True}


def test_noise_has_not_the_beats_of_the_heart() -> None:
    """It has peaks enough to have some by chance."""
    found = agreement(with_lead(noise(ECG.size)))
    assert found.count(False) > len(found) / 3
    assert None not in found


@pytest.mark.parametrize("nothing", [0.0, np.nan])
def test_nobody_agrees_where_no_other_lead_has_signal(nothing: float) -> None:
    assert set(agreement(with_lead(np.full_like(ECG, nothing)))) == {None}
    assert {agree for _, agree in told(front("II").push(ECG[:, None]))} == {None}


def test_a_beat_that_only_the_end_tells_has_been_compared_with_nothing() -> None:
    frontend = front()
    before = told(frontend.push(with_lead(ECG)))
    after = told(frontend.close())
    assert after
    assert {agree for _, agree in after} == {None}
    assert before[-1][1] is True


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 127, 128, 129, 997])
def test_any_cutting_of_the_signal_tells_the_same(size: int) -> None:
    expected = told(front().push(HALF))
    assert {True, False} == {agree for at, agree in expected if at > 5 * FS}
    frontend = front()
    cut = [event for at in range(0, len(HALF), size) for event in frontend.push(HALF[at:][:size])]
    assert told(cut) == expected


@pytest.mark.parametrize("at_s", [1.0, 5.7, HELD - 0.1, HELD + 0.1, 22.33])
def test_it_is_the_same_after_a_restart(at_s: float) -> None:
    at = round(at_s * FS)
    one, other = front(), front()
    events = one.push(HALF[:at])
    other.restore(one.save())
    assert told([*events, *other.push(HALF[at:])]) == told(front().push(HALF))
