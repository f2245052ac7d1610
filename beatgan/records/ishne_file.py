"""ISHNE's format of Holter recordings (Badilini 1998). Knows nothing of the other formats.

An own reader: the one on PyPI, ishneholterlib, stands still since 2020 and fails with NumPy 2.4.
"""

from binascii import crc_hqx
from datetime import datetime
from pathlib import Path
from struct import unpack_from

import numpy as np
from numpy.typing import NDArray

from beatgan.errors import RecordError
from beatgan.records.recording import Recording, Signal, assemble, nanoseconds

FIXED = 522  # bytes of the header before its part of variable length
LEADS = {
    **{2: "VX", 3: "VY", 4: "VZ", 5: "I", 6: "II", 7: "III", 8: "aVR", 9: "aVL", 10: "aVF"},
    **{10 + k: f"V{k}" for k in range(1, 7)},
    **{17: "ES", 18: "AS", 19: "AI"},
}


def read(path: Path) -> Recording:
    """The recording at ``path``. The header's names, numbers and birth date are not looked at."""
    try:
        with path.open("rb") as file:
            header = file.read(FIXED)
        size = path.stat().st_size
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}") from error
    if len(header) < FIXED:
        raise RecordError(f"{path}: cut short within the ISHNE header")
    promised, variable_at, ecg_at = (unpack_from("<i", header, at)[0] for at in (14, 18, 22))
    leads = unpack_from("<h", header, 156)[0]
    fs = unpack_from("<h", header, 272)[0]
    if not 1 <= leads <= 12 or ecg_at < variable_at or variable_at != FIXED or promised < 0:
        raise RecordError(f"{path}: the ISHNE header is damaged")
    codes, steps = (unpack_from(f"<{leads}h", header, at) for at in (158, 206))
    length = _length(path, size - ecg_at, promised, leads)
    content: NDArray[np.int16] = np.memmap(path, "<i2", "r", ecg_at, (length, leads))
    signals = [Signal(LEADS.get(code, f"ECG {k}"), "nV", fs) for k, code in enumerate(codes, 1)]
    return assemble(
        path,
        signals,
        lambda chosen: [content[:, i] * float(steps[i]) for i in chosen],
        _start_ns(header),
        format="ISHNE",
        notes=[] if _is_sound(path, header, ecg_at) else ["the header's checksum is wrong"],
    )


def _length(path: Path, there: int, promised: int, leads: int) -> int:
    """How many samples each lead has. Recorders count those of one lead, or those of all."""
    total, of_all = max(0, there) // 2, promised * leads
    if promised < leads:
        raise RecordError(f"{path}: the ISHNE header promises no sample")
    if total >= of_all:
        return promised
    if promised <= total < promised + leads:
        return promised // leads
    raise RecordError(f"{path}: cut short: {total} of {of_all} samples are there")


def _is_sound(path: Path, header: bytes, ecg_at: int) -> bool:
    with path.open("rb") as file:
        content = file.read(min(ecg_at, 1 << 20))
    return crc_hqx(content[10:], 0xFFFF) == int(unpack_from("<H", header, 8)[0])


def _start_ns(header: bytes) -> int:
    """When the recording began, 0 where the header does not say."""
    day, month, year = unpack_from("<3h", header, 138)
    try:
        return nanoseconds(datetime(year, month, day, *unpack_from("<3h", header, 150)))
    except ValueError:
        return 0
