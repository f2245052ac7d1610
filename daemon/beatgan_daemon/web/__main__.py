"""``python -m beatgan_daemon.web OPTIONS``: the server alone; ``beatgan-daemon web`` becomes it."""

import sys

from beatgan.errors import UsageError
from beatgan_daemon import standard_streams
from beatgan_daemon.import_pause import without_collection
from beatgan_daemon.web.options import Options, read


def main() -> None:
    """The entry point."""
    standard_streams.open_missing()
    sys.modules["rich"] = None  # type: ignore[assignment]  # structlog takes it if there: 4 MB
    with without_collection():
        from beatgan_daemon.command_errors import told_errors

    with told_errors():
        _serve(read(sys.argv[1]))


def _serve(options: Options) -> None:
    try:
        with without_collection():
            from beatgan_daemon.security import curve
            from beatgan_daemon.web.server import serve
    except ImportError:
        raise UsageError("the page needs pip install 'beatgan[web]'") from None
    serve(options, curve.configuration(options.key, options.server_key))


if __name__ == "__main__":
    main()
