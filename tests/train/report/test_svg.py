"""Strokes of a chart: values end up at their pixels, and what is written is SVG."""

from xml.etree import ElementTree

import numpy as np
import pytest

from beatgan_train.report.svg import POINTS, Axis, Frame, picture, round_ticks, thinned, word


def frame() -> Frame:
    return Frame(50, 10, 200, 100, Axis(0, 10, (0, 5, 10), "across"), Axis(-1, 1, (-1, 0, 1), "up"))


def test_values_lie_at_their_pixels() -> None:
    assert frame().across(np.array([0.0, 5, 10])).tolist() == [50, 150, 250]
    assert frame().up(np.array([-1.0, 0, 1])).tolist() == [110, 60, 10]
    assert frame().up(np.array([-9.0, 9])).tolist() == [110, 10]  # no further than the frame


def test_a_line_and_the_area_below_it() -> None:
    x, y = np.array([0.0, 10]), np.array([0.0, 1])
    assert 'd="M50.0 60.0L250.0 10.0"' in frame().line(x, y, "s0")
    assert 'd="M50.0 110.0L50.0 60.0L250.0 10.0L250.0 110.0Z"' in frame().area(x, y, "s0")
    assert 'cx="150.0" cy="60.0"' in frame().dot(5, 0, "s0")


def test_a_picture_is_well_formed_whatever_the_words() -> None:
    drawing = picture(300, 150, 'a "b" <c>', frame().axes(), word(1, 2, "x < y & z", "label"))
    root = ElementTree.fromstring(drawing)
    assert root.get("aria-label") == 'a "b" <c>'
    texts = [element.text for element in root.iter("text")]
    assert texts == ["0", "5", "10", "across", "-1", "0", "1", "up", "x < y & z"]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.5, 1.0]),
        (-3.1, 6.2, [0, 5]),
        (-0.2, 0.21, [-0.2, 0, 0.2]),
        (120, 420, [200, 300, 400]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert round_ticks(low, high, 4) == ticks


def test_a_long_line_keeps_its_ends_and_its_jumps() -> None:
    x = np.linspace(0, 1, 50_000)
    y = (x > 0.3).astype(np.float64)
    across, up = thinned(x, y)
    assert len(across) <= POINTS
    assert (across[0], across[-1], up[0], up[-1]) == (0, 1, 0, 1)
    jump = int(np.argmax(np.diff(up)))
    assert across[jump + 1] - across[jump] < 0.02
