"""Every error the project raises on purpose, named by whose fault it is."""


class BeatganError(Exception):
    """Base of all errors raised on purpose; its text is meant for the person who reads it."""


class StreamError(BeatganError):
    """The peer's fault: a frame or a stream that breaks the protocol.

    ``reason`` is a short fixed word for a counter's label; the text says what was expected.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class RecordError(BeatganError):
    """A recording's fault: missing, unreadable, or without a usable ECG lead."""


class ArtifactError(BeatganError):
    """A model file's fault: missing parts, altered content, a failed self-test."""


class UsageError(BeatganError):
    """The caller's fault: an impossible argument or setting."""
