"""pylsl, imported when it is needed: it loads liblsl, which begins threads of its own."""

from typing import Any

from beatgan_daemon.extras import needing


def pylsl() -> Any:
    """The library. Raises UsageError, with how to install it, where it lacks."""
    with needing("lsl"):
        import pylsl as library
    return library
