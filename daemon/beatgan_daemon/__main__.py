"""``python -m beatgan_daemon`` is ``beatgan-daemon``.

A daemon takes SIGHUP from its first moment: imports take long enough for one to come.
"""

from beatgan_daemon import standard_streams
from beatgan_daemon.signals import hold_reload


def main() -> None:
    """The entry point."""
    standard_streams.open_missing()
    hold_reload()
    from beatgan_daemon import cli

    cli.main()


if __name__ == "__main__":
    main()
