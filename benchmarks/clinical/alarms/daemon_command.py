"""The alarms that a daemon raises for recordings on disk: `beatgan-daemon score`, in processes.

The daemon is this checkout's or another one's, such as the last release's: both are run alike, by
the public command, each with its own code and interpreter, and their messages are counted by the
same code.
"""

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile

import msgspec

from beatgan.errors import BeatganError
from benchmarks.clinical.alarms.alarm_episodes import AlarmEpisode, AlertLine, episodes
from benchmarks.performance.load.processes import environment, python_of

HERE = Path(__file__).parents[3]
MODEL = Path("models/student.pt")
AT_ONCE = 250  # recordings to a process: its start takes as long as some hundred of them
_decode = msgspec.json.Decoder(AlertLine).decode


@dataclass(frozen=True, slots=True)
class Source:
    """A recording on disk (WFDB, without a suffix), and the database's record it was made of.

    Its file's name is the stream's, so no two may have the same.
    """

    path: Path
    record: str

    @property
    def name(self) -> str:
        """The stream's."""
        return self.path.name

    @property
    def form(self) -> tuple[float, float]:
        """Its sampling rate (Hz) and length (s)."""
        import wfdb

        header = wfdb.rdheader(str(self.path))
        return float(header.fs), header.sig_len / float(header.fs)


@dataclass(frozen=True)
class DaemonCommand:
    """Whose code, with which model file and settings (``alarms.key=value``), in how many processes.

    ``fold_models``: another model file for some of the records, so that none is judged by
    coefficients that were fitted to it.
    """

    checkout: Path = HERE
    model: Path = HERE / MODEL
    settings: tuple[str, ...] = ()
    fold_models: Mapping[str, Path] = field(default_factory=dict)
    processes: int = 2

    def alarms(self, sources: Sequence[Source]) -> dict[str, list[AlarmEpisode]]:
        """Each recording's alarms, by its name. Raises BeatganError where a process fails."""
        jobs = list(self.jobs(sources))
        with ThreadPoolExecutor(self.processes) as threads:
            done = threads.map(lambda job: self._score(*job), jobs)
            return {name: alarms for found in done for name, alarms in found.items()}

    def jobs(self, sources: Sequence[Source]) -> Iterator[tuple[Path, Sequence[Source]]]:
        """What one process each does: a model file, and the recordings to score with it."""
        by_model: dict[Path, list[Source]] = {}
        for source in sources:
            model = self.fold_models.get(source.record, self.model)
            by_model.setdefault(model, []).append(source)
        for model, some in by_model.items():
            shares = max(-(-len(some) // AT_ONCE), self.processes if len(by_model) == 1 else 1)
            yield from ((model, some[k::shares]) for k in range(shares) if some[k::shares])

    def _score(self, model: Path, sources: Sequence[Source]) -> dict[str, list[AlarmEpisode]]:
        command = [python_of(self.checkout), "-m", "beatgan_daemon.cli", "score", "--device", "cpu"]
        command += ["--model", str(model), *_each("--set", self.settings)]
        command += [str(source.path) for source in sources]
        kept = {name: x for name, x in os.environ.items() if not name.startswith("BEATGAN_")}
        env = {**kept, **environment(self.checkout), "OMP_NUM_THREADS": "1"}
        with TemporaryFile() as stderr:
            with subprocess.Popen(
                command, env=env, stdout=subprocess.PIPE, stderr=stderr
            ) as process:
                messages = alerts(process.stdout or ())
            stderr.seek(0)
            said = stderr.read().decode()
        if process.returncode:
            raise BeatganError(f"{self.checkout}: beatgan-daemon score failed: {said}")
        return {s.name: episodes(messages.get(s.name, ()), s.record, *s.form) for s in sources}


def alerts(lines: Iterable[bytes]) -> dict[str, list[AlertLine]]:
    """The alerts among JSON ``lines``, by stream."""
    found: dict[str, list[AlertLine]] = {}
    for line in lines:
        if b'"type":"alert"' in line[:32]:
            alert = _decode(line)
            found.setdefault(alert.stream, []).append(alert)
    return found


def _each(option: str, values: Sequence[str]) -> list[str]:
    return [part for value in values for part in (option, value)]
