"""What an LSL stream says of itself, and what it is asked for."""

from typing import Any

import numpy as np
import pytest

from beatgan.errors import StreamError
from beatgan_daemon.bridges.lsl.description import describe


class FakeElement:
    """As much of pylsl's XMLElement as is asked for."""

    def __init__(self, channels: list[dict[str, str]]) -> None:
        self._channels = channels

    def child(self, _: str) -> "FakeElement":
        return self

    def child_value(self, name: str) -> str:
        return self._channels[0].get(name, "") if self._channels else ""

    def next_sibling(self) -> "FakeElement":
        return FakeElement(self._channels[1:])


class FakeInfo:
    """As much of pylsl's StreamInfo."""

    def __init__(self, *channels: dict[str, str], fs: float = 130.0, count: int = 0) -> None:
        self._channels, self._fs, self._count = [*channels], fs, count or len(channels)

    def name(self) -> str:
        return "Polar H10 7A"

    def nominal_srate(self) -> float:
        return self._fs

    def channel_count(self) -> int:
        return self._count

    def desc(self) -> FakeElement:
        return FakeElement(self._channels)


LEAD = {"label": "II", "unit": "microvolts", "type": "ECG"}


def test_leads_units_and_rate_are_what_it_says() -> None:
    second = LEAD | {"label": "V5", "unit": "mV", "type": ""}
    found = describe(FakeInfo(LEAD, second), None, None)
    assert (found.stream, found.fs, found.leads) == ("Polar_H10_7A", 130.0, ("II", "V5"))
    millivolt = found.millivolt([[1000, 1], [-500, np.nan]])
    np.testing.assert_array_equal(millivolt, np.array([[1, 1], [-0.5, np.nan]], np.float32))


def test_channels_of_another_type_are_no_leads() -> None:
    found = describe(FakeInfo({"label": "X", "type": "ACC", "unit": "g"}, LEAD), None, None)
    assert (found.leads, found.columns) == (("II",), (1,))
    assert found.millivolt([[9, 1000]]).tolist() == [[1.0]]


def test_what_it_does_not_say_is_given() -> None:
    found = describe(FakeInfo(count=2, fs=0.0), "uV", 250.0)
    assert (found.fs, found.leads) == (250.0, ("ECG 1", "ECG 2"))
    assert found.scale.tolist() == [0.001, 0.001]


@pytest.mark.parametrize(
    ("info", "unit", "fs", "words"),
    [
        (FakeInfo(LEAD | {"unit": ""}), None, None, "does not say its unit; give --unit"),
        (FakeInfo(LEAD | {"unit": "counts"}), None, None, "'counts' is no voltage"),
        (FakeInfo(LEAD), "mV", None, "it says microvolts, --unit says mV"),
        (FakeInfo(LEAD, fs=0.0), None, None, "no sampling rate; give --fs"),
        (FakeInfo(LEAD, fs=10.0), None, None, "10 samples a second; a stream has 50 to 2000"),
        (FakeInfo(LEAD | {"type": "ACC"}), None, None, "no channel is an ECG's"),
        (FakeInfo(*[LEAD] * 17), None, None, "1-16 leads"),
    ],
)
def test_what_would_have_to_be_guessed_is_refused(
    info: Any, unit: str | None, fs: float | None, words: str
) -> None:
    with pytest.raises(StreamError, match=words):
        describe(info, unit, fs)


def test_a_unit_that_is_given_may_agree() -> None:
    assert describe(FakeInfo(LEAD), "µV", None).scale.tolist() == [0.001]
