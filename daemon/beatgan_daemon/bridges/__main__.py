"""``python -m beatgan_daemon.bridges`` is ``beatgan-bridge``."""

from beatgan_daemon import standard_streams
from beatgan_daemon.import_pause import without_collection


def main() -> None:
    """The entry point."""
    standard_streams.open_missing()
    with without_collection():
        from beatgan_daemon.bridges import cli

    cli.main()


if __name__ == "__main__":
    main()
