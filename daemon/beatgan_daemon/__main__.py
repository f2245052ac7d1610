"""``python -m beatgan_daemon`` is ``beatgan-daemon``."""

from beatgan_daemon.cli import main

if __name__ == "__main__":
    main()
