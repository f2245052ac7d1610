"""``python -m beatgan_daemon`` is ``beatgan-daemon``.

A daemon takes SIGHUP from its first moment: imports take long enough for one to come.
"""

import os

from beatgan_daemon import standard_streams
from beatgan_daemon.import_pause import without_collection
from beatgan_daemon.signals import hold_reload


def main() -> None:
    """The entry point."""
    standard_streams.open_missing()
    _leave_removed_directory()
    hold_reload()
    with without_collection():
        from beatgan_daemon import cli

    cli.main()


def _leave_removed_directory() -> None:
    """Libraries cannot be loaded from a working directory that is no more."""
    try:
        os.getcwd()
    except FileNotFoundError:
        os.chdir("/")


if __name__ == "__main__":
    main()
