"""`beatgan-train bxb`: compare detected beats with reference annotations; tables and JSON.

Finds the records and what was detected in each; `ec57` compares beats and their classes. Knows no
waveform.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan, nan
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table

from beatgan.ec57.annotations import ANNOTATOR, Reference, read_reference
from beatgan.ec57.beat_matching import NARROW_S, WINDOW_S, BeatFigures, compare_record
from beatgan.ec57.class_matching import compare_classes
from beatgan.ec57.detections import Detections, read_annotations, read_streams
from beatgan.errors import UsageError
from beatgan.protocol.names import stream_of_record
from beatgan.records.recording import faults_of
from beatgan_train.atomic_write import write_text
from beatgan_train.evaluation.classification import Classification, classification
from beatgan_train.evaluation.result import plain
from beatgan_train.report import tables

SAME_RATE = 1e-3  # rates that differ by less, relatively, are one rate measured by two clocks


COUNTS: Mapping[str, Callable[[BeatFigures], int]] = {
    "tp": lambda of: of.wide.tp,
    "fp": lambda of: of.wide.fp,
    "fn": lambda of: of.wide.fn,
    "fn_in_shutdown": lambda of: of.wide.in_shutdown,
}
RATES: Mapping[str, Callable[[BeatFigures], float]] = {
    "sensitivity": lambda of: of.wide.sensitivity,
    "ppv": lambda of: of.wide.ppv,
    "f1": lambda of: of.wide.f1,
    "f1_narrow": lambda of: of.narrow.f1,
    "median_error_ms": lambda of: of.wide.median_error_ms,
    "time_in_shutdown": lambda of: of.shutdown_share,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """All figures of one run; ``left_out`` names what is in "reference" or in "test" alone.

    ``classification`` is None where the test tells no beat from a normal one.
    """

    window_s: float
    start_s: float
    records: Mapping[str, BeatFigures]
    left_out: Mapping[str, Sequence[str]]
    classification: Classification | None

    @property
    def gross(self) -> BeatFigures:
        """Every beat of every record counted alike."""
        return sum(self.records.values(), BeatFigures())

    @property
    def average(self) -> dict[str, float]:
        """The mean of each of `RATES` over the records that have it; nan where none has."""
        return {name: _mean(map(rate, self.records.values())) for name, rate in RATES.items()}


def run(
    reference: Path,
    test: Path,
    *,
    annotator: str = ANNOTATOR,
    test_annotator: str | None = None,
    window_s: float = WINDOW_S,
    start_s: float = 0.0,
    json_file: Path | None = None,
    console: Console | None = None,
) -> Comparison:
    """Compare what ``test`` says with ``reference``, show the figures and write them as JSON.

    ``reference``: a WFDB record or a folder of them, annotated in files with the suffix
    ``annotator``. ``test``: the JSON Lines of ``beatgan-daemon score``, or, with
    ``test_annotator``, WFDB annotations of that suffix, a record or a folder. Beats before
    ``start_s`` (seconds) are not counted.

    Raises UsageError or RecordError naming the file that is missing or not understood, and
    UsageError where no record is in both, no reference beat is left, or the window is none.
    """
    if not 0 < window_s < inf:
        raise UsageError(f"the window must be a positive number of ms, got {1000 * window_s:g}")
    bases = _records(reference, annotator)
    if test_annotator is None:
        found = read_streams(test)
    else:
        found = read_annotations(_records(test, test_annotator), test_annotator)
    streams = {stream_of_record(name): name for name in bases}
    both = {streams[name]: name for name in found if name in streams}
    if not both:
        raise UsageError(
            f"no record is in both {reference} ({_some(bases)}) and {test} ({_some(found)})"
        )
    pairs = {
        name: (_reference(bases[name], annotator, found[both[name]]), found[both[name]])
        for name in sorted(both)
    }
    records = {
        name: compare_record(
            reference_of, of.sample, _length_s(bases[name], reference_of, of), window_s,
            start_s=start_s, shutdowns=of.shutdowns,
        )
        for name, (reference_of, of) in pairs.items()
    }  # fmt: skip
    if not any(each.wide.tp + each.wide.fn for each in records.values()):
        raise UsageError(f"{reference}: no reference beat after {start_s:g} s")
    comparison = Comparison(
        window_s,
        start_s,
        records,
        {
            "reference": sorted(bases.keys() - both.keys()),
            "test": sorted(found.keys() - both.values()),
        },
        _classification(pairs, window_s, start_s),
    )
    show(comparison, console or Console())
    if json_file:
        write_text(json_file, as_json(comparison))
    return comparison


def show(comparison: Comparison, console: Console) -> None:
    """Print the tables, and what is not in them."""
    console.print(table(comparison))
    for grid in tables.classes(comparison.classification):
        tables.show_grid(grid, console)
    for place, names in comparison.left_out.items():
        if names:
            text = f"not compared, in the {place} only: {len(names)} ({', '.join(names)})"
            console.print(text, markup=False, highlight=False, soft_wrap=True)


def table(comparison: Comparison) -> Table:
    """A row a record, then gross and average."""
    after = f", from {comparison.start_s:g} s on" if comparison.start_s else ""
    made = Table(
        title=f"Beats within {1000 * comparison.window_s:g} ms of the reference{after}",
        caption="FN counts every missed beat. Shut down: how many of them, and how much of the "
        "time, lie in declared shutdowns. Flutter and fibrillation are excluded.",
        title_justify="left",
    )
    made.add_column("record")
    for name in ("TP", "FP", "FN", "FN shut down", "Se", "PPV", "F1",
                 f"F1 ±{1000 * NARROW_S:g} ms", "median error", "time shut down"):  # fmt: skip
        made.add_column(name, justify="right", no_wrap=True)
    for name, each in comparison.records.items():
        made.add_row(name, *_counts(each), *_rates(_all_rates(each)))
    made.add_section()
    gross = comparison.gross
    made.add_row("gross", *_counts(gross), *_rates(_all_rates(gross)))
    made.add_row("average", *("" for _ in COUNTS), *_rates(comparison.average))
    return made


def as_json(comparison: Comparison) -> str:
    """All figures as JSON; rates are shares of 1, and what could not be measured is null."""
    gross = comparison.gross
    content = {
        "window_ms": 1000 * comparison.window_s,
        "narrow_window_ms": 1000 * NARROW_S,
        "start_s": comparison.start_s,
        "records": {name: _plain(each) for name, each in comparison.records.items()},
        "gross": _plain(gross),
        "average": _finite(comparison.average),
        "left_out": comparison.left_out,
        "classification": plain(comparison.classification),
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _records(path: Path, annotator: str) -> dict[str, Path]:
    """The records that ``path`` means, by name, each without a suffix."""
    if path.is_dir():
        files = sorted(path.glob(f"*.{annotator}"))
        if not files:
            raise UsageError(f"{path}: no annotation file *.{annotator} in this folder")
        return {file.stem: file.with_suffix("") for file in files}
    base = path.with_suffix("") if path.suffix in (".hea", f".{annotator}") else path
    return {base.name: base}


def _classification(
    pairs: Mapping[str, tuple[Reference, Detections]], window_s: float, start_s: float
) -> Classification | None:
    """How right the classes are of those that were found, where any says more than a beat."""
    if not any(of.classified for _, of in pairs.values()):
        return None
    return classification(
        {
            name: compare_classes(reference, of.sample, of.label, window_s, start_s=start_s)
            for name, (reference, of) in pairs.items()
        }
    )


def _reference(base: Path, annotator: str, found: Detections) -> Reference:
    """One record's reference, in the samples of the recording in which beats were ``found``."""
    reference = read_reference(base, annotator, found.fs)
    if found.fs is not None and abs(found.fs / reference.fs - 1) > SAME_RATE:
        return reference.at(found.fs)
    return reference


def _length_s(base: Path, reference: Reference, found: Detections) -> float:
    """The record's length in seconds by its header; by the last beat where there is none."""
    header = base.with_name(f"{base.name}.hea")
    if header.is_file():
        with faults_of(header, "wfdb"):
            import wfdb

            header_of = wfdb.rdheader(str(base))
            if header_of.sig_len:
                return float(header_of.sig_len / header_of.fs)
    last = float(found.sample.max(initial=0)) / (found.fs or reference.fs)
    return max(last, float(reference.sample.max(initial=0)) / reference.fs)


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not isnan(value)]
    return fmean(known) if known else nan


def _all_rates(of: BeatFigures) -> dict[str, float]:
    return {name: rate(of) for name, rate in RATES.items()}


def _plain(of: BeatFigures) -> dict[str, float | None]:
    return {name: count(of) for name, count in COUNTS.items()} | _finite(_all_rates(of))


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if isfinite(value) else None for name, value in values.items()}


def _counts(of: BeatFigures) -> list[str]:
    return [f"{count(of):,}" for count in COUNTS.values()]


def _rates(values: Mapping[str, float]) -> list[str]:
    return [_cell(name, value) for name, value in values.items()]


def _cell(name: str, value: float) -> str:
    if isnan(value):
        return "-"
    return f"{value:.1f} ms" if name.endswith("_ms") else f"{100 * value:.2f} %"


def _some(names: Iterable[str]) -> str:
    """The first few names."""
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")
