"""Imports without the garbage collector: what is imported is there to stay."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Import without collecting garbage, neither now nor later, among what is there to stay.

    It takes a fifth off the start, and half a million objects off every later collection.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
