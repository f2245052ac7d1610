"""Which format a file is in, told by its content; its name's ending is only a hint for the message.

Knows how formats begin, and nothing of what follows.
"""

import re
from pathlib import Path

from beatgan.errors import RecordError

HEAD = 8192  # bytes looked at
READ = (
    "read are WFDB (.hea), EDF and BDF, DICOM, HL7 aECG, Philips Sierra and GE MUSE XML, ISHNE, "
    "and text (CSV and what devices export)"
)
BINARY = (  # how many bytes precede the mark, the mark, the format
    (0, b"0       ", "EDF"),
    (0, b"\xffBIOSEMI", "EDF"),
    (128, b"DICM", "DICOM"),
    (0, b"ISHNE1.0", "ISHNE"),
    (0, b"ANN  1.0", "ISHNE annotations"),
    (16, b"SCPECG", "SCP-ECG"),
    (0, b"MATLAB 5.0 MAT-file", "MATLAB"),
    (0, b"\x89HDF\r\n", "HDF5 (also MATLAB 7.3)"),
    (0, b"\x93NUMPY", "NumPy"),
    (0, b"GDF ", "GDF"),
    (0, b"XDF:", "XDF"),
    (0, b"PAR1", "Parquet"),
    (0, b"SQLite format 3", "SQLite"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\x00", "xz"),
    (0, b"(\xb5/\xfd", "Zstandard"),
    (0, b"PK\x03\x04", "ZIP (also XLSX)"),
    (0, b"7z\xbc\xaf'\x1c", "7-Zip"),
    (0, b"%PDF", "PDF"),
    (0, b"\x89PNG", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"RIFF", "WAV"),
    (0, b"\xd0\xcf\x11\xe0", "an old office document (XLS)"),
    (0, b"MFR ", "MFER"),
    (0, b"ALIVE\x00", "AliveCor ATC"),
    (0, b"MSH|", "HL7 version 2"),
)
# Without the preamble that DICOM's files have: its first element, of group 2 or 8.
BARE_DICOM = re.compile(rb"[\x02\x08]\x00.\x00(?:[A-Z]{2}|[^\x00]\x00\x00\x00)", re.S)
XML = {  # the outermost element, without its namespace
    "AnnotatedECG": "HL7 aECG",
    "restingecgdata": "Philips Sierra",
    "RestingECG": "GE MUSE",
}
MARKS = {"utf-8": b"\xef\xbb\xbf", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
ELEMENT = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)[\s/>]")
NAMED = {  # what a name's ending promises, where the content does not say what it is
    **{".scp": "SCP-ECG", ".mat": "MATLAB", ".xml": "XML", ".dcm": "DICOM", ".bdf": "EDF"},
    **{".edf": "EDF", ".rec": "EDF", ".gz": "gzip", ".hl7": "HL7 version 2"},
    **{".npy": "NumPy", ".h5": "HDF5", ".xlsx": "ZIP", ".pdf": "PDF"},
}
TO_DO = {  # what to do about a format that is not read
    "SCP-ECG": "convert it to DICOM, HL7 aECG or EDF, by the device's own software or by BioSig",
    "gzip": "unpack it first, with gunzip",
    "bzip2": "unpack it first, with bunzip2",
    "xz": "unpack it first, with unxz",
    "Zstandard": "unpack it first, with unzstd",
    "ZIP (also XLSX)": "unpack it first, with unzip, or save the sheet as CSV",
    "7-Zip": "unpack it first, with 7z",
    "an old office document (XLS)": "save the sheet as CSV",
    "ISHNE annotations": "name the file of the ECG itself",
}
ELSE = "write it as CSV: a line '# fs=250', a line 'II (mV)', then one sample a line"


def of(path: Path) -> str:
    """The format of the file at ``path``: one of those that are read.

    "EDF", "DICOM", "ISHNE", "HL7 aECG", "Philips Sierra", "GE MUSE" or "text". Raises RecordError
    that says what it is instead, or what was looked for.
    """
    head = _head(path)
    found = _binary(head) or _xml(head)
    if found in ("EDF", "DICOM", "ISHNE", *XML.values()):
        return found
    if found:
        raise RecordError(
            f"{path}: looks like {found}, which is not read; {TO_DO.get(found, ELSE)}; {READ}"
        )
    named = NAMED.get(path.suffix.lower())
    if named:
        raise RecordError(
            f"{path}: named like {named}, but does not begin like it: damaged, or of another "
            f"format; {READ}"
        )
    if is_text(head):
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            raise RecordError(f"{path}: looks like JSON, which is not read; {ELSE}; {READ}")
        return "text"
    if _is_signal_file(path):
        raise RecordError(
            f"{path}: perhaps the signal file of a WFDB record, whose header "
            f"{path.with_suffix('.hea').name} is not beside it; {READ}"
        )
    raise RecordError(f"{path}: the format is not known; {READ}")


def encoding(head: bytes) -> str:
    """How a text that begins with these bytes is written: its mark, else UTF-8, else Windows'."""
    for name, mark in MARKS.items():
        if head.startswith(mark):
            return name
    try:
        # A letter of several bytes may be cut off at the end.
        head.decode("utf-8") if len(head) < HEAD else head[:-3].decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        return "utf-8" if error.start > len(head) - 8 else "cp1252"
    return "utf-8"


def is_text(head: bytes) -> bool:
    """Whether these bytes are text: no control character but those that lay out lines."""
    name = encoding(head)
    text = head[: len(head) // 2 * 2].decode(name, "replace")
    return not re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f]", text)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}") from error
    if not head:
        raise RecordError(f"{path}: the file is empty")
    return head


def _binary(head: bytes) -> str | None:
    for before, mark, name in BINARY:
        if head[before : before + len(mark)] == mark:
            return name
    return "DICOM" if BARE_DICOM.match(head) else None


def _xml(head: bytes) -> str | None:
    """The format of an XML document; None where it is none."""
    text = head.decode(encoding(head), "replace").lstrip("\ufeff \t\r\n")
    if not text.startswith("<"):
        return None
    text = re.sub(r"<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^\[>]*(\[.*?\])?\s*>", "", text, flags=re.S)
    found = ELEMENT.search(text)
    if not found:
        return "XML"
    return XML.get(found[1], f"XML ({found[1][:40]})")


def _is_signal_file(path: Path) -> bool:
    return path.suffix.lower() == ".dat"
