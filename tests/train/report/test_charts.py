"""Charts are SVG for a page: well formed, the same every time, in the page's own colours."""

from xml.etree import ElementTree

import numpy as np
import pytest

from beatgan_train.evaluation.metrics import Scored
from beatgan_train.report import charts


@pytest.fixture
def scored() -> Scored:
    """200 normal beats and 40 ventricular ones, some of each without a score."""
    rng = np.random.default_rng(0)
    label = np.repeat(["N", "V"], [200, 40])
    score = rng.normal(size=240) + 3 * (label == "V")
    score[::50] = -np.inf
    return Scored(("100",), np.zeros(240, np.int64), label, score)


def drawings(scored: Scored) -> dict[str, str]:
    curves = dict(charts.rankings({"model": scored, "baseline": scored}, 2.0))
    return curves | {
        "classes": charts.classes(scored, 2.0),
        "distributions": charts.distributions(scored, 2.0),
    }


def test_drawings_are_well_formed_and_have_words_for_the_blind(scored: Scored) -> None:
    for drawing in drawings(scored).values():
        root = ElementTree.fromstring(drawing)
        assert root.tag == "svg"
        assert root.get("role") == "img"
        assert root.get("aria-label")


def test_drawings_are_the_same_every_time(scored: Scored) -> None:
    assert drawings(scored) == drawings(scored)


def test_colours_are_the_pages_own(scored: Scored) -> None:
    for drawing in drawings(scored).values():
        assert not [colour for colour in charts.PALETTE.values() if colour in drawing]
        assert "var(--ink)" in drawing
    assert "var(--red)" in charts.classes(scored, 2.0)  # V


def test_text_stays_text(scored: Scored) -> None:
    root = ElementTree.fromstring(charts.distributions(scored, 2.0))
    words = [element.text for element in root.iter("text")]
    assert {"N", "V", "200", "40", "score"} <= {*words}
    found = np.count_nonzero(scored.score[200:] > 2.0)
    assert f"{100 * found / 40:.1f} % flagged" in words
