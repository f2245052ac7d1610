"""The latest samples of a signal, the newest last. Knows no signal and no rate."""

from beatgan.jit import compiled
from beatgan.types import Doubles, Floats

BLOCK = 400  # samples worked on at once, at most; bounds memory, changes nothing else


@compiled
def append(kept: Doubles | Floats, size: int, newest: Doubles) -> int:
    """Append ``newest``, at most a BLOCK, to the ``size`` samples in ``kept``; how many there are.

    Only where there is no room for them are old ones dropped, down to a BLOCK less than the room:
    so those that stay are moved seldom. By way of a copy: a loop that reads what it has written
    itself is taken one sample at a time.
    """
    if size + newest.size > kept.size:
        older = kept[size + BLOCK - kept.size : size].copy()
        for i in range(older.size):
            kept[i] = older[i]
        size = older.size
    end = kept[size:]
    for i in range(newest.size):
        end[i] = newest[i]
    return size + newest.size
