import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from beatgan.quality import FLAT, GAP, Gate
from beatgan.types import Condition, Doubles


def noise(n: int) -> Doubles:
    return np.random.default_rng(0).normal(size=n)


def test_good_signal_passes_untouched() -> None:
    y, changes = Gate().push(noise(3000), 0)
    assert np.array_equal(y, noise(3000))
    assert changes == []


def test_a_gap_is_announced_once_it_lasts() -> None:
    x = noise(3000)
    x[100 : 100 + GAP - 1] = np.nan  # one short of a gap
    x[1000:1500] = np.nan
    _, changes = Gate().push(x, 50)
    assert changes == [
        (Condition.GAP, True, 1050, 1050 + GAP - 1),
        (Condition.GAP, False, 1550, 1550),
    ]


def test_a_flat_line_becomes_nan_from_the_moment_it_is_known() -> None:
    x = noise(4000)
    x[1000:2500] = 0.7
    y, changes = Gate().push(x, 0)
    known = 1000 + FLAT - 1
    assert changes == [(Condition.FLAT, True, 1000, known), (Condition.FLAT, False, 2500, 2500)]
    assert np.isnan(y[known:2500]).all()
    assert not np.isnan(y[:known]).any()
    assert not np.isnan(y[2500:]).any()


def test_a_flat_line_that_is_lost_is_a_gap() -> None:
    x = np.concatenate([np.zeros(1000), np.full(200, np.nan), noise(100)])
    _, changes = Gate().push(x, 0)
    assert [(condition, begins) for condition, begins, _, _ in changes] == [
        (Condition.FLAT, True),
        (Condition.FLAT, False),
        (Condition.GAP, True),
        (Condition.GAP, False),
    ]


@given(st.lists(st.integers(1, 700), min_size=1, max_size=12))
def test_any_cutting_gives_the_same(cuts: list[int]) -> None:
    x = noise(sum(cuts))
    x[len(x) // 3 : len(x) // 2] = 0.5
    x[len(x) // 2 : len(x) // 2 + 120] = np.nan
    whole, changes = Gate().push(x, 0)
    gate, parts, seen, start = Gate(), [], [], 0
    for piece in np.split(x, np.cumsum(cuts)[:-1]):
        y, found = gate.push(piece, start)
        parts.append(y)
        seen += found
        start += piece.size
    assert np.array_equal(np.concatenate(parts), whole, equal_nan=True)
    assert seen == changes
