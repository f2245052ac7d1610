"""What the Kafka library would write to stderr by itself: many lines a second while cut off."""

import logging


def library_log() -> logging.Logger:
    """A logger that keeps silent; errors are told by the library's callbacks, and logged there."""
    logger = logging.getLogger("beatgan.kafka")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    logger.setLevel(logging.CRITICAL + 1)
    return logger
