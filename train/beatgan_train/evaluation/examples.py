"""Which beats are worth a look: the worst, the typical, and the records where most goes wrong.

Chooses by label, score and record alone. The choice is made by rule, so that a page shows what
there is and not what somebody would like to show.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from beatgan.types import Doubles, Ints, Score
from beatgan_train.data.beat_set import BeatSet
from beatgan_train.evaluation.metrics import Scored
from beatgan_train.evaluation.model_set import ModelSet

OF_A_RECORD = 3  # that one record may fill of a gallery of the worst
ALARMS, MISSES, TYPICAL = 12, 6, 4  # beats in a gallery
RECORDS = 3  # the worst
SHOWN = ("V", "S", "F")
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class WorstRecord:
    """A record with many errors of one kind: normal beats flagged, or beats of a class missed.

    ``label``: N for beats flagged falsely, else the class missed. ``count`` are the errors among
    its ``beats`` of that class; ``unscored`` of them were never detected, or not scored.
    ``share`` is its part in all records' errors of the kind.
    """

    label: str
    record: str
    count: int
    beats: int
    unscored: int
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A beat with its place, and what the model says of it.

    ``value`` is the score; ``distance`` and ``prematurity`` are the parts of it that need no
    network, nan where there is none.
    """

    label: str
    record: str
    sample: int
    value: float
    distance: float
    prematurity: float
    score: Score


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Beats that were chosen by one rule, which ``note`` states; ``columns`` a row."""

    title: str
    note: str
    columns: int
    examples: Sequence[Example]


@dataclass(frozen=True, slots=True, eq=False)
class RankedBeats:
    """The tested rows of ``beats`` among which is chosen, and the scores of all rows."""

    beats: BeatSet
    rows: Ints
    values: Doubles
    threshold: float

    def of(self, label: str, record: str = "") -> Ints:
        """The tested rows of a class, the highest score first, of one record or of all."""
        members = self.rows[self.beats.label[self.rows] == label]
        if record:
            members = members[self.beats.of([record])[members]]
        order = np.argsort(-self.values[members], kind="stable")
        ranked: Ints = members[order]
        return ranked

    def errors(self, label: str, record: str = "") -> Ints:
        """Of these the errors: flagged if N, not flagged if abnormal."""
        members = self.of(label, record)
        above = self.values[members] > self.threshold
        wrong: Ints = members[above if label == "N" else ~above]
        return wrong


def worst_records(scored: Scored, threshold: float) -> list[WorstRecord]:
    """For N and each of SHOWN the RECORDS with the most errors, the worst first."""
    return [
        row
        for label in ("N", *SHOWN)
        for row in sorted(_errors_by_record(scored, label, threshold), key=lambda r: -r.count)[
            :RECORDS
        ]
    ]


def galleries(
    models: ModelSet, choice: RankedBeats, worst: Sequence[WorstRecord]
) -> dict[str, Gallery]:
    """All galleries by name; one without beats is left out."""
    chosen = {"typical": _typical(choice), "alarms": _alarms(choice)}
    chosen |= {f"missed {label}": _missed(choice, label) for label in SHOWN}
    chosen |= {f"worst {label}": _cases(choice, label, worst) for label in ("N", *SHOWN)}
    return {
        name: Gallery(
            title, note, 3 if name.startswith("worst") else 4, _examples(models, choice, rows)
        )
        for name, (title, note, rows) in chosen.items()
        if len(rows)
    }


def spread_out(rows: Iterable[int], record: Ints, count: int, most: int) -> list[int]:
    """The first ``count`` of ``rows``, of which no record may have more than ``most``."""
    taken: list[int] = []
    of_record = np.zeros(int(record.max(initial=0)) + 1, np.int64)
    for row in rows:
        if len(taken) < count and of_record[record[row]] < most:
            of_record[record[row]] += 1
            taken.append(row)
    return taken


Chosen = tuple[str, str, list[int]]


def _typical(choice: RankedBeats) -> Chosen:
    rows: list[int] = []
    for label in ("N", *SHOWN):
        members = choice.of(label)
        by_distance = np.argsort(np.abs(np.arange(len(members)) - len(members) // 2), kind="stable")
        near = members[by_distance].tolist()
        rows += spread_out(near, choice.beats.record, TYPICAL, 1)
    note = "The beats nearest to the median score of their class, each of another record."
    return "Typical beats of each class", note, rows


def _alarms(choice: RankedBeats) -> Chosen:
    worst = choice.errors("N").tolist()
    note = f"The normal beats with the highest scores, at most {OF_A_RECORD} of a record."
    rows = spread_out(worst, choice.beats.record, ALARMS, OF_A_RECORD)
    return "Worst false alarms", note, rows


def _missed(choice: RankedBeats, label: str) -> Chosen:
    worst = choice.errors(label)[::-1].tolist()
    note = (
        f"The beats of class {label} with the lowest scores, at most {OF_A_RECORD} of a record. "
        "Beats that were never found have no picture."
    )
    rows = spread_out(worst, choice.beats.record, MISSES, OF_A_RECORD)
    return f"Worst misses of class {label}", note, rows


def _cases(choice: RankedBeats, label: str, worst: Sequence[WorstRecord]) -> Chosen:
    rows: list[int] = []
    for record in (each.record for each in worst if each.label == label):
        errors = choice.errors(label, record)
        places = sorted({int(q * (len(errors) - 1)) for q in QUARTILES}) if len(errors) else []
        rows += errors[places].tolist()
    title = "Normal beats flagged" if label == "N" else f"Beats of class {label} missed"
    note = "Of each record the errors at the quartiles of their scores: ordinary cases."
    return title, note, rows


def _examples(models: ModelSet, choice: RankedBeats, rows: Sequence[int]) -> list[Example]:
    beats = choice.beats
    scores = models.scores_of_rows(beats, rows)
    return [
        Example(
            label=str(beats.label[row]),
            record=beats.records[beats.record[row]],
            sample=int(beats.sample[row]),
            value=float(choice.values[row]),
            distance=float(beats.distance[row]),
            prematurity=float(beats.prematurity[row]),
            score=score,
        )
        for row, score in zip(rows, scores, strict=True)
    ]


def _errors_by_record(scored: Scored, label: str, threshold: float) -> list[WorstRecord]:
    members = scored.where(np.equal(scored.label, label))
    above = members.score > threshold
    wrong = above if label == "N" else ~above
    total = int(wrong.sum())
    rows = []
    for number in np.unique(members.record[wrong]):
        own = members.record == number
        count = int(np.count_nonzero(wrong & own))
        unscored = int(np.count_nonzero(wrong & own & np.isneginf(members.score)))
        rows.append(
            WorstRecord(
                label, members.records[number], count, int(own.sum()), unscored, count / total
            )
        )
    return rows
