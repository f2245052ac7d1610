"""A front end that is saved and restored goes on to the bit, or says that it cannot."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from beatgan.errors import ArtifactError
from beatgan.frontend import Event, Frontend
from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.spec import PreprocessSpec
from beatgan.types import Condition, Floats
from beatgan_train.training.coefficients import coefficients_of

COEFFICIENTS = coefficients_of("full")

FS = 250.0
LEADS = ("II", "V5", "V1")


def troubled() -> Floats:
    """Forty seconds of three leads; the first two fail in turn, so that the third comes in."""
    ecg = np.stack([synthetic_ecg(40.0, FS, seed) for seed in (0, 0, 0)], axis=1)
    ecg[3000:3400] = np.nan
    ecg[4000:6000, 0] = 0.1
    ecg[5000:8000, 1] = np.nan
    ecg[8500:9000] = 0.0
    return ecg


SAMPLES = troubled()


def plain(events: Sequence[Event]) -> list[object]:
    """To be compared to the bit."""
    return [
        [v.tobytes() if isinstance(v, np.ndarray) else v for v in astuple(event)]
        for event in events
    ]


def front() -> Frontend:
    return Frontend(PreprocessSpec(), COEFFICIENTS, FS, LEADS)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, len(SAMPLES)), max_size=8))
def test_a_restored_front_end_goes_on_to_the_bit(cuts: list[int]) -> None:
    whole = front()
    expected = plain([*whole.push(SAMPLES), *whole.close()])
    events: list[Event] = []
    now, bounds = front(), sorted({0, *cuts, len(SAMPLES)})
    for start, stop in pairwise(bounds):
        events += now.push(SAMPLES[start:stop])
        state, now = now.save(), front()
        now.restore(state)
    assert plain([*events, *now.close()]) == expected


def test_a_saved_state_does_not_change_with_the_front_end() -> None:
    one = front()
    one.push(SAMPLES[:3000])
    state = one.save()
    expected = plain(one.push(SAMPLES[3000:]))
    other = front()
    other.restore(state)
    assert plain(other.push(SAMPLES[3000:])) == expected
    again = front()
    again.restore(state)
    assert plain(again.push(SAMPLES[3000:])) == expected


def test_what_it_tells_of_itself_is_restored() -> None:
    one = front()
    one.push(SAMPLES[:5800])
    other = front()
    other.restore(one.save())
    assert other.conditions() == one.conditions() != set()
    assert (Condition.FLAT, "II") in one.conditions()
    assert (other.lead, other.suspended, other.reports_status) == (
        one.lead,
        one.suspended,
        one.reports_status,
    )


@pytest.mark.parametrize(
    ("spec", "fs", "leads"),
    [
        (PreprocessSpec(), 360.0, LEADS),
        (PreprocessSpec(), FS, ("II", "V1", "V5")),
        (PreprocessSpec(lowpass_hz=30.0), FS, LEADS),
    ],
    ids=["rate", "leads", "spec"],
)
def test_a_state_of_something_else_is_refused_and_changes_nothing(
    spec: PreprocessSpec, fs: float, leads: tuple[str, ...]
) -> None:
    other = Frontend(spec, COEFFICIENTS, fs, leads)
    one = front()
    one.push(SAMPLES[:3000])
    before = other.save()
    with pytest.raises(ArtifactError, match="another version, model, rate or set of leads"):
        other.restore(one.save())
    assert other.save() == before


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(ArtifactError):
        front().restore(replace(front().save(), layout="of another version"))
