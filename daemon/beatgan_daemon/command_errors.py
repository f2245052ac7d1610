"""How errors end a command: what was raised on purpose is one line on stderr and an exit code."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, EIO, ENOSPC, EPIPE
from typing import Final

from beatgan.errors import BeatganError
from beatgan_daemon import log, standard_streams
from beatgan_daemon.exit_codes import Exit, exit_code, one_line

UNWRITABLE: Final = {EPIPE, ENOSPC, EIO, EFBIG, EDQUOT}  # of a stdout where nothing can go


@contextmanager
def told_errors(program: str = "beatgan-daemon") -> Iterator[None]:
    """Run a command of ``program``, the block; see above. A bug shows Python's own traceback."""
    for stream in (sys.stdout, sys.stderr):
        standard_streams.show_anything(stream)
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # here, where it can be told
    except BeatganError as error:
        text = f"{program}: {one_line(error)}"
        _say(log.prioritised(text, "error") if log.is_journal(sys.stderr) else text)
        sys.exit(exit_code(error))
    except OSError as error:
        if error.errno not in UNWRITABLE or error.filename is not None:
            raise
        standard_streams.forget_output()
        if error.errno != EPIPE:  # `| head -1` is no error
            _say(f"{program}: cannot write the output: {error.strerror}")
        sys.exit(Exit.USAGE)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201
