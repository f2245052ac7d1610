"""A section measured twice: with a record's leads as the daemon takes them, and with one alone."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from benchmarks.clinical.alarms.record_set import RecordSet
from benchmarks.clinical.alarms.report import ONE, TWO, Figure, Section


@dataclass(frozen=True, slots=True)
class ByLeads:
    """What a section found, by the number of leads."""

    sections: Mapping[str, Section]

    def lines(self) -> Iterator[str]:
        """One after the other."""
        for leads, section in self.sections.items():
            yield f"--- {leads}"
            yield from section.lines()
            yield ""

    def details(self) -> Iterator[str]:
        """One after the other."""
        for leads, section in self.sections.items():
            yield f"--- {leads}"
            yield from section.details()
            yield ""

    def figures(self) -> Iterator[Figure]:
        """Each one's, with its leads."""
        for leads, section in self.sections.items():
            for figure in section.figures():
                yield figure._replace(leads=leads)


def by_leads(evaluate: Callable[[RecordSet], Section]) -> Callable[[RecordSet], ByLeads]:
    """``evaluate`` for both numbers of leads."""
    return partial(_evaluate, evaluate)


def _evaluate(evaluate: Callable[[RecordSet], Section], records: RecordSet) -> ByLeads:
    one = records.with_one_lead()
    return ByLeads({TWO: evaluate(records), ONE: evaluate(one)})
