"""The databases' records, copies made of them, and the alarms a daemon raises for each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from beatgan.alarms.limits import AlarmLimits
from beatgan.ec57.episodes import RhythmReference, read_rhythm
from beatgan.frontend import choose_leads
from beatgan.records import Recording, read_recording
from beatgan.spec import PreprocessSpec
from beatgan_train.data.beat_set import locate
from beatgan_train.data.mitdb import DS1, DS2
from benchmarks.clinical.alarms.alarm_episodes import AlarmEpisode
from benchmarks.clinical.alarms.copies import one_lead
from benchmarks.clinical.alarms.daemon_command import DaemonCommand, Source


@dataclass(slots=True)
class RecordSet:
    """Records below ``data``, and what ``daemon``, which has these ``limits``, says of them.

    ``folder`` takes the copies that are made of records. ``names`` are the records chosen on the
    command line, if any were, ``half`` the part of cudb. With ``one_lead`` only the lead is used
    that a daemon would choose first. No recording is streamed twice.
    """

    data: Path
    daemon: DaemonCommand
    limits: AlarmLimits
    folder: Path
    half: str = "even"
    names: str | None = None
    one_lead: bool = False
    _alarms: dict[str, list[AlarmEpisode]] = field(default_factory=dict)

    def records(self, default: str) -> list[str]:
        """The records chosen, or ``default``: DS1, DS2, a database, or names with commas."""
        chosen = self.names or default
        if chosen == "mitdb":  # by a record's place: the folder may have another name
            return _annotated(locate(self.data, "100").parent)
        if (folder := self.data / chosen).is_dir():
            return _annotated(folder)
        return list({"DS1": DS1, "DS2": DS2}.get(chosen, chosen.split(",")))

    def sets(self, *defaults: str) -> dict[str, list[str]]:
        """The records chosen, as one set, or each of ``defaults`` as `records` knows them."""
        return {title: self.records(title) for title in ([self.names] if self.names else defaults)}

    def with_one_lead(self) -> "RecordSet":
        """The same, but of each record one lead."""
        return replace(self, one_lead=True)

    def alarms(self, names: Sequence[str]) -> dict[str, list[AlarmEpisode]]:
        """The alarms of each of the records, by its name."""
        sources = {name: self._source(name) for name in names}
        alarms = self.stream(sources.values())
        return {name: alarms[source.name] for name, source in sources.items()}

    def stream(self, sources: Iterable[Source]) -> dict[str, list[AlarmEpisode]]:
        """The alarms of any recordings, by name."""
        wanted = list(sources)
        if new := [source for source in wanted if source.name not in self._alarms]:
            self._alarms.update(self.daemon.alarms(new))
        return {source.name: self._alarms[source.name] for source in wanted}

    def path(self, name: str) -> Path:
        """Where a record lies, without a suffix."""
        return locate(self.data, name)

    def recording(self, name: str) -> Recording:
        """The record itself."""
        return read_recording(self.path(name))

    def reference(self, name: str) -> RhythmReference:
        """Its annotations."""
        return read_rhythm(self.path(name))

    def _source(self, name: str) -> Source:
        path = self.path(name)
        if self.one_lead:
            leads = read_recording(path).leads
            if len(leads) > 1:
                first = leads[choose_leads(leads, PreprocessSpec().leads, 1)[0]]
                return one_lead(path, name, first, self.folder)
        return Source(path, name)


def _annotated(folder: Path) -> list[str]:
    return [file.stem for file in sorted(folder.glob("*.atr"))]
