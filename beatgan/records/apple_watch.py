"""The ECG that an Apple Watch records, as Apple Health exports it. Knows no table.

Lines of key and value in the phone's language come first: the wearer's name and birthday, the date,
the rate ("512 hertz", "511,422 hertz"), the lead and the unit. Then one value a line, with a comma
for a point where the phone's region has it so. The keys are therefore known by their values.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from beatgan.records import text_header, time_stamps
from beatgan.records.recording import in_millivolt
from beatgan.records.text_header import Facts

HERTZ = re.compile(
    r"\d+(?:[.,]\d+)?\s*(?:hz|hertz\w*|herz\w*|герц\w*|гц|赫兹|赫茲|赫|ヘルツ|헤르츠)", re.I
)
LEAD = re.compile(r".*\b(I{1,3}|aV[RLF]|V\d)", re.S)
LEAST = 3  # lines of key and value: rate, unit and one more


def facts(path: Path, lines: Sequence[str]) -> Facts | None:
    """What the lines ahead of the first value say; None where this is no such export."""
    pairs = [line.partition(",") for line in lines]
    values = [value.replace("\xa0", " ").strip().strip("'\"") for _, comma, value in pairs if comma]
    rates = [value for value in values if HERTZ.fullmatch(value)]
    units = [value for value in values if value and in_millivolt(value) is not None]
    if len(values) < LEAST or len(rates) != 1 or len(units) != 1:
        return None
    starts = [v for v in values if time_stamps.is_stamp(v) and not time_stamps.is_date_only(v)]
    leads = [found[1] for value in values[-3:] if (found := LEAD.fullmatch(value))]
    number = re.sub(r"[^\d.,]", "", rates[0])
    return Facts(
        "Apple Watch CSV",
        text_header.rate(path, "rate", number),
        time_stamps.nanoseconds(starts[0]) if starts else None,
        units[0],
        (leads[-1] if leads else "I",),
        single=True,
    )
