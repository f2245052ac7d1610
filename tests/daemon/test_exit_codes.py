"""The documented exit codes."""

import pytest

from beatgan.errors import ArtifactError, RecordError, StreamError, UsageError
from beatgan_daemon.exit_codes import StartError, exit_code, one_line


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StartError("port in use"), 3),
        (ArtifactError("corrupt"), 3),
        (UsageError("bad flag"), 2),
        (RecordError("unreadable"), 2),
        (StreamError("rate", "absurd"), 2),
        (ZeroDivisionError(), 1),
    ],
)
def test_each_error_has_its_code(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_messages_fit_on_one_line() -> None:
    assert one_line(StartError("a\n  b")) == "a b"
