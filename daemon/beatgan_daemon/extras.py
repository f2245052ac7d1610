"""Libraries of other protocols, which are installed with the bridge that needs them."""

from collections.abc import Iterator
from contextlib import contextmanager

from beatgan.errors import UsageError


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Import what the block imports; raises UsageError with how to install it where it lacks.

    ``extra``: of this package, which brings it. A library of the system that is not there, as
    liblsl, is told in the library's own words.
    """
    try:
        yield
    except (ImportError, RuntimeError, OSError) as error:
        raise UsageError(f"{error}; run `pip install 'beatgan[{extra}]'`") from None
