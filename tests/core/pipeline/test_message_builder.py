"""Values of the core as messages."""

import msgspec
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from beatgan.pipeline.message_builder import rounded

PROBABILITY = st.floats(0.0, 1.0)


@given(st.tuples(*[PROBABILITY] * 5))
@example((0.0, 1.0, 0.00005, 0.99995, 5e-324))
def test_probabilities_have_four_decimals(probabilities: tuple[float, ...]) -> None:
    n, s, v, f, q = probabilities
    told = msgspec.structs.astuple(rounded((n, s, v, f, q)))
    assert told == tuple(round(each * 10_000) / 10_000 for each in probabilities)


def test_of_a_probability_halfway_the_even_one_is_told() -> None:
    halves = ((np.arange(10_000) + 0.5) / 10_000).tolist()
    exact = [half for half in halves if half * 10_000 % 1 == 0.5]
    assert len(exact) > 1000
    for half in exact:
        assert round(half * 10_000) / 10_000 == rounded((half, 0.0, 0.0, 0.0, 0.0)).N
