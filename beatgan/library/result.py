"""What was found in one recording: its beats as a table, its alerts, its episodes."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from beatgan.errors import UsageError
from beatgan.library import wfdb_annotations
from beatgan.library.beat_files import beat_file
from beatgan.library.beat_table import Beats, beats_of
from beatgan.library.episodes import Episode, episodes_of
from beatgan.protocol.messages import AlertMessage, BeatMessage
from beatgan.records.recording import Recording
from beatgan.types import Floats, Quality

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


class Result:
    """The beats and alerts of one recording.

    ``recording``: what was scored. ``messages``: all that the daemon would have published of it, in
    its order (docs/protocol.md).
    """

    def __init__(
        self, recording: Recording, messages: tuple[BeatMessage | AlertMessage, ...]
    ) -> None:
        self.recording = recording
        self.messages = messages

    @property
    def name(self) -> str:
        """The recording's."""
        return self.recording.name

    @property
    def fs(self) -> float:
        """Samples a second."""
        return self.recording.fs

    @property
    def leads(self) -> tuple[str, ...]:
        """The names of all leads; each beat says which it was found in."""
        return self.recording.leads

    @property
    def ecg(self) -> Floats:
        """The signal in mV, of shape (n, leads); NaN where lost."""
        return self.recording.samples

    @cached_property
    def beats(self) -> Beats:
        """A NumPy record array, a row a beat, its final word: ``beats.score``, ``beats["class"]``.

        ``n`` (from 0), ``sample`` (of the R peak), ``time_s``, ``rr_ms``, ``score`` and
        ``threshold`` (NaN where it was not scored), ``anomalous``, ``quality`` (good, poor,
        unusable), ``lead``, ``class`` (N, S, V, F, Q after EC57, or ""), ``p_N`` ... ``p_Q`` (how
        probable each class is), and what each part of the model adds to the score.
        """
        return beats_of(self.messages, self.fs)

    @property
    def alerts(self) -> tuple[AlertMessage, ...]:
        """Every alert, as the daemon would have published it: several an episode."""
        return tuple(each for each in self.messages if isinstance(each, AlertMessage))

    @cached_property
    def episodes(self) -> tuple[Episode, ...]:
        """What the alerts tell of, one value an episode, in order of the onset."""
        return episodes_of(self.messages, self.fs)

    def to_pandas(self) -> "DataFrame":
        """`beats` as a DataFrame. Raises UsageError where pandas is not installed."""
        try:
            from pandas import DataFrame
        except ImportError:
            raise UsageError(
                "to_pandas: pandas is not installed; pip install 'beatgan[table]'"
            ) from None
        return DataFrame({name: self.beats[name] for name in self.beats.dtype.names or ()})

    def write(self, path: str | Path) -> None:
        """Write the beats as ``.csv`` or ``.parquet``, or all messages as ``.jsonl``.

        The file appears whole or not at all. Raises UsageError where it cannot be written, or is of
        another kind.
        """
        with beat_file(Path(path), option="write") as file:
            file.add(self)

    def write_wfdb(self, record: str | Path, annotator: str = wfdb_annotations.ANNOTATOR) -> Path:
        """Write the beats and alarms as WFDB annotations; the file's path, ``RECORD.ANNOTATOR``.

        A beat's symbol is its class, Q where it was not scored; its note the score. Rhythms have
        their standard labels. Raises UsageError where the file cannot be written.
        """
        length = len(self.ecg)
        return wfdb_annotations.write(record, annotator, self.fs, self.beats, self.episodes, length)

    def plot(self, start_s: float = 0.0, end_s: float | None = None) -> "Figure":
        """Draw the seconds from ``start_s`` to ``end_s`` (10 s if not given) on ECG paper.

        25 mm/s and 10 mm/mV; below each row a bar for each beat, its score over the threshold; then
        the worst beat that an alert explains, beside what was expected. Raises UsageError where
        there are no such seconds, or matplotlib is not installed.
        """
        from beatgan.library.plot import draw

        return draw(self, start_s, end_s)

    def __len__(self) -> int:
        """How many beats."""
        return len(self.beats)

    def __str__(self) -> str:
        """As `503 beats, 136 anomalous, 3 episodes, 10 poor, 1 unusable`."""
        return ", ".join(_counted(*each) for each in self._counts())

    def __repr__(self) -> str:
        seconds = len(self.ecg) / self.fs
        return f"<Result of {self.name}, {seconds:g} s: {self}>"

    def _counts(self) -> list[tuple[int, str]]:
        quality = self.beats["quality"]
        return [
            (len(self.beats), "beats"),
            (int(self.beats["anomalous"].sum()), "anomalous"),
            (len(self.episodes), "episodes"),
            (int((quality == Quality.POOR).sum()), "poor"),
            (int((quality == Quality.UNUSABLE).sum()), "unusable"),
        ]


def _counted(number: int, what: str) -> str:
    return f"{number} {what[:-1] if number == 1 and what in ('beats', 'episodes') else what}"
