"""A signal in pieces: what is said of it does not depend on how it is cut."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import beatgan
from beatgan.errors import RecordError, UsageError

SECONDS = 100


def timeless(messages: Any) -> list[Any]:
    """Without what depends on the moment at which something was said."""
    return [
        replace(each, raised_ns=0, delay_ms=replace(each.delay_ms, signal=0.0))
        if isinstance(each, beatgan.AlertMessage)
        else each
        for each in messages
    ]


@settings(max_examples=5, deadline=None)
@given(cuts=st.lists(st.integers(1, SECONDS * 360 - 1), max_size=40, unique=True))
def test_any_cut_gives_the_same(sample: beatgan.Recording, cuts: list[int]) -> None:
    ecg = sample.samples[: SECONDS * 360].copy()
    ecg[20_000:21_000] = np.nan
    whole = beatgan.score(ecg, sample.fs, "MLII", device="cpu")
    live = beatgan.Stream(sample.fs, "MLII", device="cpu")
    found = [message for part in np.split(ecg, sorted(cuts)) for message in live.push(part)]
    assert live.samples == len(ecg)
    found += live.end()
    assert timeless(found) == timeless(whole.messages)
    assert {type(each) for each in found} == {beatgan.BeatMessage, beatgan.AlertMessage}


def test_beats_are_known_while_it_goes_on(sample: beatgan.Recording) -> None:
    live = beatgan.Stream(sample.fs, device="cpu")
    found = live.push(sample.samples[:3600, 0])
    assert len(found) > 10
    assert max(each.sample for each in found) > 3600 - 2 * 360


def test_the_end_is_the_end(sample: beatgan.Recording) -> None:
    live = beatgan.Stream(sample.fs, device="cpu")
    live.push(sample.samples[: 170 * 360])  # an episode is under way
    assert [each.phase for each in live.end() if isinstance(each, beatgan.AlertMessage)] == ["end"]
    assert live.end() == []
    with pytest.raises(UsageError, match="the stream has ended"):
        live.push(sample.samples[:10])
    assert beatgan.Stream(250, device="cpu").end() == []


def test_what_no_stream_can_be_is_refused() -> None:
    with pytest.raises(RecordError, match="10 Hz"):
        beatgan.Stream(10)
    live = beatgan.Stream(250, ["II", "V5"], device="cpu")
    with pytest.raises(UsageError, match="1 columns for the leads II, V5"):
        live.push(np.zeros(10))
