"""Recordings become labelled beats, through the very front end that the daemon runs.

There is no other way to training data: what a network learns from is what it will be served.
Knows records, references and the front end; knows no network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from beatgan.coefficients import AlarmCoefficients
from beatgan.ec57.annotations import Labels, Reference, read_reference
from beatgan.ec57.beat_matching import WINDOW_S, match
from beatgan.errors import RecordError, UsageError
from beatgan.frontend import Frontend
from beatgan.records import Recording, read_recording
from beatgan.spec import PreprocessSpec
from beatgan.types import EMPTY, RHYTHM_SIZE, Beat, Doubles, Floats, Ints, Quality
from beatgan_train.data.reading import ForEach, in_turn, read_each

CHUNK_S = 60  # seconds pushed at a time; any other cut gives the same beats


@dataclass(frozen=True, slots=True, eq=False)
class Missed:
    """Reference beats that the front end did not find: ``record`` indexes ``BeatSet.records``."""

    record: Ints
    sample: Ints
    label: Labels


@dataclass(frozen=True, slots=True, eq=False)
class BeatSet:
    """Detected beats of several records, one row each, in order of record and sample.

    ``record`` indexes ``records``. ``label`` is an AAMI class, or empty where no reference beat
    lies within 150 ms. ``window`` and ``reference`` have shape (n, spec.length); they are all zero
    where ``quality`` is unusable, and such rows are neither trained on nor scored: see `usable`.
    ``second_window`` and ``second_template``, likewise, are those of the other lead in use, all
    zero where it had no share in ``distance``; there ``lead_distances``, of shape (n, 2), is NaN in
    its second column. ``distance``, ``lead_distances`` and ``rr_ms`` are NaN where a beat has none.
    ``rhythm`` has shape (n, RHYTHM_SIZE), see `Beat`.
    """

    records: tuple[str, ...]
    record: Ints
    sample: Ints
    label: Labels
    window: Floats
    reference: Floats
    distance: Doubles
    prematurity: Doubles
    quality: Labels
    rr_ms: Doubles
    rhythm: Floats
    second_window: Floats
    second_template: Floats
    lead_distances: Doubles
    missed: Missed

    def __len__(self) -> int:
        return len(self.sample)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which rows hold a waveform."""
        return np.not_equal(self.quality, Quality.UNUSABLE.value)

    @property
    def normal(self) -> NDArray[np.bool_]:
        """Which rows are usable beats of class N: what anomaly detectors are trained on."""
        return self.usable & np.equal(self.label, "N")

    def of(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which rows are beats of the records ``names``."""
        return np.isin(self.record, [i for i, n in enumerate(self.records) if n in names])

    def beat(self, row: int) -> Beat:
        """One row as a scorer sees it; what no score depends on (arrival, lead) is left blank."""
        good = bool(self.quality[row] != Quality.UNUSABLE.value)
        own_distance, second_distance = map(_known, self.lead_distances[row])
        two = good and second_distance is not None
        return Beat(
            n=row,
            sample=int(self.sample[row]),
            known_at=int(self.sample[row]),
            lead="",
            rr_ms=_known(self.rr_ms[row]),
            quality=Quality(str(self.quality[row])),
            window=self.window[row] if good else EMPTY,
            template=self.reference[row] if good else EMPTY,
            distance=_known(self.distance[row]),
            prematurity=float(self.prematurity[row]),
            rhythm=self.rhythm[row],
            second_window=self.second_window[row] if two else EMPTY,
            second_template=self.second_template[row] if two else EMPTY,
            lead_distances=(own_distance, second_distance),
        )

    def take(self, rows: Ints | NDArray[np.bool_]) -> Self:
        """Only some rows; all that was missed stays."""
        return type(self)(
            self.records,
            self.record[rows],
            self.sample[rows],
            self.label[rows],
            self.window[rows],
            self.reference[rows],
            self.distance[rows],
            self.prematurity[rows],
            self.quality[rows],
            self.rr_ms[rows],
            self.rhythm[rows],
            self.second_window[rows],
            self.second_template[rows],
            self.lead_distances[rows],
            self.missed,
        )


def beats_of(
    recording: Recording, spec: PreprocessSpec, coefficients: AlarmCoefficients
) -> list[Beat]:
    """Every beat that the front end finds in ``recording``, in order, as the daemon reports them.

    A beat whose window the recording's end cuts off is not among them.
    """
    frontend = Frontend(spec, coefficients, recording.fs, recording.leads)
    step = max(1, int(CHUNK_S * recording.fs))
    beats: list[Beat] = []
    for first in range(0, len(recording.samples), step):
        events = frontend.push(recording.samples[first : first + step])
        beats += [event for event in events if isinstance(event, Beat)]
    return beats


def locate(data: Path, name: str) -> Path:
    """The WFDB record ``name`` in ``data`` itself or in one of its folders.

    Raises RecordError where it is in none of them or in several.
    """
    found = [data / name] if (data / f"{name}.hea").is_file() else []
    found = found or [file.with_suffix("") for file in sorted(data.glob(f"*/{name}.hea"))]
    if not found:
        raise RecordError(f"record {name}: there is no {name}.hea in {data} or its folders")
    if len(found) > 1:
        raise RecordError(f"record {name} is ambiguous: {', '.join(map(str, found))}")
    return found[0]


def is_there(data: Path, name: str) -> bool:
    """Whether a WFDB record ``name`` lies in ``data`` or in one of its folders."""
    return (data / f"{name}.hea").is_file() or any(data.glob(f"*/{name}.hea"))


def load(
    data: Path,
    names: Sequence[str],
    spec: PreprocessSpec,
    coefficients: AlarmCoefficients,
    progress: Progress | None = None,
    for_each: ForEach = in_turn,
) -> BeatSet:
    """The labelled beats of the records ``names`` (WFDB, with ``.atr``) under ``data``.

    Raises RecordError naming the record that is missing or unreadable.
    """

    def one(name: str) -> BeatSet:
        return _one(locate(data, name), spec, coefficients)

    return join(read_each(one, names, progress, for_each))


def label_beats(samples: Ints, reference: Reference) -> tuple[Labels, NDArray[np.bool_]]:
    """A label for each detected beat (empty: none), and which reference beats were found.

    One to one, nearest first, within 150 ms.
    """
    pairs = match(reference.sample, samples, WINDOW_S * reference.fs)
    labels = np.zeros(len(samples), dtype="<U1")
    labels[pairs.detected] = reference.label[pairs.reference]
    found = np.zeros(len(reference.sample), dtype=np.bool_)
    found[pairs.reference] = True
    return labels, found


def beat_set(
    name: str, beats: Sequence[Beat], reference: Reference, spec: PreprocessSpec
) -> BeatSet:
    """The beats of one record, labelled by its reference annotation."""
    samples = np.array([b.sample for b in beats], dtype=np.int64)
    labels, found = label_beats(samples, reference)
    lost = ~found
    nowhere = np.zeros(spec.length, dtype=np.float32)

    def rows(waves: Sequence[Floats]) -> Floats:
        return np.array([w if len(w) else nowhere for w in waves], np.float32).reshape(
            -1, spec.length
        )

    return BeatSet(
        records=(name,),
        record=np.zeros(len(beats), dtype=np.int64),
        sample=samples,
        label=labels,
        window=rows([b.window for b in beats]),
        reference=rows([b.template for b in beats]),
        distance=np.array([b.distance for b in beats], dtype=np.float64),
        prematurity=np.array([b.prematurity for b in beats], dtype=np.float64),
        quality=np.array([b.quality.value for b in beats], dtype="<U8"),
        rr_ms=np.array([b.rr_ms for b in beats], dtype=np.float64),
        rhythm=np.array([b.rhythm for b in beats], np.float32).reshape(-1, RHYTHM_SIZE),
        second_window=rows([b.second_window for b in beats]),
        second_template=rows([b.second_template for b in beats]),
        lead_distances=np.array([b.lead_distances for b in beats], np.float64).reshape(-1, 2),
        missed=Missed(
            np.zeros(int(lost.sum()), dtype=np.int64), reference.sample[lost], reference.label[lost]
        ),
    )


def join(parts: Sequence[BeatSet]) -> BeatSet:
    """Several records' beats as one set."""
    if not parts:
        raise UsageError("no records to join")
    shift = np.cumsum([0] + [len(p.records) for p in parts])

    def column(name: str) -> Any:
        return np.concatenate([getattr(p, name) for p in parts])

    return BeatSet(
        records=tuple(name for p in parts for name in p.records),
        record=np.concatenate([p.record + k for p, k in zip(parts, shift[:-1], strict=True)]),
        sample=column("sample"),
        label=column("label"),
        window=column("window"),
        reference=column("reference"),
        distance=column("distance"),
        prematurity=column("prematurity"),
        quality=column("quality"),
        rr_ms=column("rr_ms"),
        rhythm=column("rhythm"),
        second_window=column("second_window"),
        second_template=column("second_template"),
        lead_distances=column("lead_distances"),
        missed=Missed(
            np.concatenate([p.missed.record + k for p, k in zip(parts, shift[:-1], strict=True)]),
            np.concatenate([p.missed.sample for p in parts]),
            np.concatenate([p.missed.label for p in parts]),
        ),
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _one(path: Path, spec: PreprocessSpec, coefficients: AlarmCoefficients) -> BeatSet:
    beats = beats_of(read_recording(path), spec, coefficients)
    return beat_set(path.name, beats, read_reference(path), spec)
