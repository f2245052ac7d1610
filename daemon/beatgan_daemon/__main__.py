"""``python -m beatgan_daemon`` is ``beatgan-daemon``.

A daemon takes SIGHUP from its first moment: imports take long enough for one to come.
"""

import gc
import os

from beatgan_daemon import standard_streams
from beatgan_daemon.signals import hold_reload


def main() -> None:
    """The entry point."""
    standard_streams.open_missing()
    _leave_removed_directory()
    hold_reload()
    gc.disable()  # among imports, which are there to stay, nothing is garbage: a tenth of the time
    from beatgan_daemon import cli

    gc.freeze()
    gc.enable()
    cli.main()


def _leave_removed_directory() -> None:
    """Libraries cannot be loaded from a working directory that is no more."""
    try:
        os.getcwd()
    except FileNotFoundError:
        os.chdir("/")


if __name__ == "__main__":
    main()
