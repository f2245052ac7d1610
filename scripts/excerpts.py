"""Cut beatgan/records/excerpts from the MIT-BIH Arrhythmia Database: scripts/excerpts.py DATA.

DATA is a folder with `mitdb`, as `beatgan-train fetch` makes it. Each excerpt is two minutes, byte
for byte, from the longest episode of its kind that the database's annotators marked: five seconds
before it begins. Of the tachycardias of patients that the shipped model was not trained on none
is long: so the first that 210 has stands beside the longest of all. Nothing was chosen by what
beatgan says of it.
"""

import sys
from pathlib import Path

import wfdb

SECONDS, FS = 120, 360
FRAME = 3  # bytes of one sample of both leads, in WFDB's format 212
EXCERPTS = [  # name, record, first second, what it shows
    ("tachycardia-in-fibrillation", "210", 416.0, "ventricular tachycardia in atrial fibrillation"),
    ("ventricular-tachycardia", "223", 573.3, "ventricular tachycardia"),
    ("ventricular-flutter", "207", 1535.9, "ventricular flutter"),
    ("bigeminy", "200", 1161.7, "ventricular bigeminy"),
    ("paced", "107", 0.0, "pacemaker"),
    ("noise", "105", 1200.5, "noise on both leads"),
    ("normal", "100", 0.0, "sinus rhythm"),
]


def cut(data: Path, name: str, record: str, second: float, shows: str, folder: Path) -> None:
    """Write one excerpt as a WFDB record: the bytes as they are, a header that fits them."""
    source = data / "mitdb" / record
    first, length = round(second * FS), SECONDS * FS
    bytes_ = source.with_suffix(".dat").read_bytes()[first * FRAME : (first + length) * FRAME]
    (folder / f"{name}.dat").write_bytes(bytes_)
    read = wfdb.rdrecord(str(source), sampfrom=first, sampto=first + length, physical=False)
    lines = [f"{name} 2 {FS} {length}"]
    for lead, column in zip(read.sig_name, read.d_signal.T, strict=True):
        checksum = (int(column.sum()) + 2**15) % 2**16 - 2**15
        lines.append(f"{name}.dat 212 200 11 1024 {column[0]} {checksum} 0 {lead}")
    lines.append(f"# {shows}: MIT-BIH record {record} from second {second:g}")
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    target = Path(__file__).parents[1] / "beatgan" / "records" / "excerpts"
    for excerpt in EXCERPTS:
        cut(Path(sys.argv[1]), *excerpt, target)
