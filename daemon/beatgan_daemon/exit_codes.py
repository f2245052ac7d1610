"""What an exit code means, and which error earns which. The only place that decides it."""

from enum import IntEnum

from beatgan.errors import ArtifactError, BeatganError, RecordError, StreamError, UsageError


class Exit(IntEnum):
    """The documented exit codes of every command."""

    DONE = 0
    CRASH = 1  # a bug: nobody raised this on purpose
    USAGE = 2  # a wrong argument, or a recording that cannot be read
    REFUSED = 3  # the daemon will not start: bad model, bad config, port in use
    LOST = 4  # it was stopped, and alerts that it had sent are not on the disk


class StartError(BeatganError):
    """The daemon will not start, and starting it again unchanged will not help."""


_CODES: tuple[tuple[type[BeatganError], Exit], ...] = (
    (StartError, Exit.REFUSED),
    (ArtifactError, Exit.REFUSED),
    (UsageError, Exit.USAGE),
    (RecordError, Exit.USAGE),
    (StreamError, Exit.USAGE),  # only `score` and `replay` let one out: their input is a recording
)


def exit_code(error: BaseException) -> Exit:
    """The code for an error that reached the top of a command."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.CRASH)


def one_line(error: BaseException) -> str:
    """The error's text on a single line, for a terminal or a log."""
    return " ".join(str(error).split())
