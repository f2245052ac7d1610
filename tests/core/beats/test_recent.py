"""The latest few values: what stands where in their order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.beats.recent import count_below, in_order, median

FEW = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=50)
MANY = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50)


@given(FEW | MANY)
@settings(deadline=None)
def test_each_place_in_the_order_is_that_of_a_sorted_copy(values: list[float]) -> None:
    array = np.array(values)
    assert [in_order(array, k) for k in range(array.size)] == sorted(values)


@given(FEW | MANY)
@settings(deadline=None)
def test_the_median_is_numpys(values: list[float]) -> None:
    assert median(np.array(values)) == np.median(values)


def test_of_no_values_the_median_is_unknown() -> None:
    assert np.isnan(median(np.empty(0)))


@pytest.mark.parametrize(("limit", "count"), [(0.0, 0), (1.0, 0), (1.5, 2), (9.0, 3)])
def test_those_below_a_limit_are_counted(limit: float, count: int) -> None:
    assert count_below(np.array([1.0, 2.0, 1.0]), limit) == count
