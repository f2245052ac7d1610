"""Where a stream's alarms are to be attributed: a TOML file of locations and, if wanted, patients.

Without it nothing but the stream's name leaves. With it, it is read anew whenever it has changed: a
bed has another patient tomorrow.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from beatgan.errors import UsageError
from beatgan.protocol.names import STREAM_PATTERN
from beatgan_daemon.regular_file import read_text

Text = Annotated[str, Meta(min_length=1, max_length=199, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]
Stream = Annotated[str, Meta(pattern=STREAM_PATTERN)]


class Bed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stream's place, and whose it is.

    ``patient_id`` is an identifier alone, such as a record number; ``patient_id_authority`` says
    whose. ``visit`` is the number of the stay.
    """

    point_of_care: Text | None = None
    room: Text | None = None
    bed: Text | None = None
    facility: Text | None = None
    patient_id: Text | None = None
    patient_id_authority: Text | None = None
    visit: Text | None = None


class System(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who speaks to whom: MSH-3 to MSH-6 and MSH-11 of HL7 v2."""

    sending_application: Text = "BEATGAN"
    sending_facility: Text | None = None
    receiving_application: Text | None = None
    receiving_facility: Text | None = None
    processing_id: Annotated[str, Meta(pattern=r"\A[PDT]\Z")] = "P"


class Beds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: ``[system]``, and a table ``[stream.NAME]`` for each stream."""

    system: System = System()
    stream: Mapping[Stream, Bed] = {}

    def of(self, stream: str) -> Bed:
        """A stream's place; of one that is not named, its own name as the bed."""
        return self.stream.get(stream) or Bed(bed=stream or None)


def read_beds(path: Path) -> Beds:
    """Raises UsageError, which names the file and the key, where it cannot be read."""
    try:
        return msgspec.toml.decode(read_text(path), type=Beds)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise UsageError(f"{path}: {error}") from None


class BedMap:
    """The file as it is now."""

    def __init__(self, path: Path | None, report: Callable[[str], None] = lambda _: None) -> None:
        """None: no file. ``report`` is told when it can be read no longer. Raises UsageError as
        `read_beds` does."""
        self._path, self._report = path, report
        self._seen = _version(path)
        self._beds = Beds() if path is None else read_beds(path)

    def beds(self) -> Beds:
        """The file's content, read anew where it has changed.

        While it cannot be read no stream has a place or a patient: what the file said before may
        be about somebody else.
        """
        version = _version(self._path)
        if self._path is not None and version != self._seen:
            self._seen = version
            try:
                self._beds = read_beds(self._path)
            except UsageError as error:
                self._report(str(error))
                self._beds = Beds(system=self._beds.system)
        return self._beds


def _version(path: Path | None) -> tuple[int, int, int] | None:
    """What changes with a file; None where there is none."""
    if path is None:
        return None
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
