"""A text written to a file that the user named. Knows nothing of what is in it."""

from pathlib import Path

from beatgan.errors import UsageError


def write(file: Path, text: str) -> None:
    """Write ``text``, making folders as needed. Raises UsageError where that cannot be done."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
