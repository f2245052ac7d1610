"""What several commands take for granted unless they are told otherwise."""

from typing import Final

INGEST: Final = "tcp://127.0.0.1:5555"  # where a daemon listens, and so where it is looked for
PUBLISH: Final = "tcp://127.0.0.1:5556"
CONTROL: Final = "tcp://127.0.0.1:5557"
KEEP_DAYS: Final = 30.0  # alerts, and strips
KEEP_MB: Final = 256.0
