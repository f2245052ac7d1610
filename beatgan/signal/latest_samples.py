"""The latest samples of a signal, the newest last."""

from beatgan.jit import compiled
from beatgan.types import Doubles, Floats


@compiled
def append(kept: Doubles | Floats, newest: Doubles) -> None:
    """Drop as many of the oldest of ``kept`` as there are ``newest``, and append these.

    By way of a copy: a loop that reads what it has written itself is taken one sample at a time.
    """
    older = kept[newest.size :].copy()
    for i in range(older.size):
        kept[i] = older[i]
    end = kept[older.size :]
    for i in range(newest.size):
        end[i] = newest[i]
