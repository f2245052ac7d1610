"""Many recordings one after another: each scored, what is wrong with one told, none left out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from beatgan.errors import RecordError, UsageError
from beatgan.library import student
from beatgan.library.result import Result
from beatgan.library.scoring import score
from beatgan.playback.chunks import stream_name
from beatgan.protocol.names import stream_of_record
from beatgan.records import SAMPLE, Recording, read_recording
from beatgan.records.folder import recordings_in
from beatgan.records.recording import only


@dataclass(frozen=True, slots=True)
class Source:
    """A recording that is to be scored: where it lies, and what to call it if not as it does."""

    path: Path
    name: str | None = None

    @property
    def is_doubtful(self) -> bool:
        """Whether it may as well be none: a text found in a folder."""
        return self.name is not None and self.path.suffix.lower() == ".txt"

    def __str__(self) -> str:
        return self.name or str(self.path)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one recording: a ``result``, or the ``fault`` for which there is none."""

    source: Source
    result: Result | None = None
    fault: str | None = None


def sources(names: Iterable[str]) -> list[Source]:
    """The recordings that ``names`` mean: each a recording, or a folder of them.

    Raises UsageError where a folder has none.
    """
    found: list[Source] = []
    for name in names:
        path = Path(name)
        if name != SAMPLE and path.is_dir():
            found += [Source(file, each) for each, file in recordings_in(path).items()]
        else:
            found.append(Source(path))
    return found


def score_all(
    sources: Iterable[Source],
    lead: str | None = None,
    model: str | Path | None = None,
    device: str = "auto",
) -> Iterator[Outcome]:
    """Each recording, read when its turn comes; one that cannot be read or scored stops none.

    ``lead``: this one alone. ``model`` and ``device`` as for `score`. Raises ArtifactError and
    UsageError where these are none.
    """
    student.load(model, device)  # what is wrong with it is no recording's fault
    taken: set[str] = set()
    for source in sources:
        try:
            recording = _named(read_recording(source.path), source, taken)
            if lead is not None:
                recording = only(recording, lead)
            yield Outcome(source, score(recording, model=model, device=device))
        except (RecordError, UsageError) as error:
            yield Outcome(source, fault=str(error))


def _named(recording: Recording, source: Source, taken: set[str]) -> Recording:
    """With the name to be shown, and another one where two would be one stream's."""
    named = replace(recording, name=source.name or recording.name)
    stream = stream_name(named, taken)
    return named if stream == stream_of_record(named.name) else replace(named, name=stream)
