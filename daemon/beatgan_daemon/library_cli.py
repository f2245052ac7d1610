"""The command `beatgan`: the library from a terminal. Parse, call, say what came of it."""

import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beatgan.errors import BeatganError
from beatgan_daemon import standard_streams
from beatgan_daemon.command_errors import told_errors
from beatgan_daemon.exit_codes import Exit, one_line
from beatgan_daemon.signals import tidy_end
from beatgan_daemon.version_option import Version, say_version

if TYPE_CHECKING:
    from beatgan.library.batch import Outcome, Source
    from beatgan.library.result import Result

SHOWN = 20  # episodes of a single recording

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a bug shows Python's own traceback
    help="ECG recordings scored, beat by beat. Not a medical device.",
    epilog="Exit codes: 0 done, 1 crash, 2 usage or a recording that cannot be read, 3 bad model.",
)


def main() -> None:
    """The entry point."""
    standard_streams.open_missing()
    with told_errors("beatgan"):
        app()


@app.callback(invoke_without_command=True)
def _root(show_version: Version = False) -> None:
    if show_version:
        say_version("beatgan")


@app.command()
def score(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="RECORDING|FOLDER", help="any format of docs/formats.md; `sample` is bundled"
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="all beats as a table, .csv or .parquet, or all messages, .jsonl",
        ),
    ] = None,
    annotations: Annotated[
        str | None,
        typer.Option(
            "--annotations", metavar="SUFFIX", help="WFDB annotations beside each recording"
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="write annotations over others of that suffix")
    ] = False,
    lead: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="use this lead alone, by default the best two"),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="FILE", help="a model; by default the shipped student"),
    ] = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda[:N]")] = "auto",
) -> None:
    """Find and score every beat of recordings; say what is in each, and write it where asked.

    A recording that cannot be read stops none of the others; the exit code tells of it.
    """
    from beatgan.library import batch
    from beatgan.library.beat_files import beat_file

    found = batch.sources(recordings)
    tally = _Tally(len(found), annotations, overwrite)
    with tidy_end(), ExitStack() as files:
        inputs = [str(source.path) for source in found]
        table = None if out is None else files.enter_context(beat_file(out, inputs))
        for outcome in batch.score_all(found, lead, model, device):
            if table is not None and outcome.result is not None:
                table.add(outcome.result)
            tally.take(outcome)
    tally.finish(out)
    raise typer.Exit(Exit.USAGE if tally.faults else Exit.DONE)


class _Tally:
    """What came of each recording, told at once, and of all, at the end."""

    def __init__(self, total: int, annotations: str | None, overwrite: bool) -> None:
        self._total, self._annotations, self._overwrite = total, annotations, overwrite
        self._began, self._seconds, self._done = time.monotonic(), 0.0, 0
        self._beats: Counter[str] = Counter()
        self._written: set[Path] = set()
        self.faults = 0

    def take(self, outcome: "Outcome") -> None:
        """Write the annotations, and say it in a line."""
        self._done += 1
        place = f"[{self._done}/{self._total}] " if self._total > 1 else ""
        result, fault = outcome.result, outcome.fault
        if result is not None:
            self._count(result)
            typer.echo(f"{place}{_described(result)}")
            if self._total == 1:
                _show_episodes(result)
            fault = self._annotate(outcome.source, result)
        if fault is not None and outcome.source.is_doubtful:
            typer.echo(f"{place}left out: {fault}")
        elif fault is not None:
            self.faults += 1
            typer.echo(f"{place}beatgan: {fault}", err=True)

    def finish(self, out: Path | None) -> None:
        """Say what there was in all, where it is several recordings', and where it was put."""
        if self._total > 1:
            took = time.monotonic() - self._began
            beats = self._beats
            typer.echo(
                f"{self._total} recordings, {self._seconds / 3600:.1f} h in {took:.1f} s: "
                f"{beats['beats']} beats, {beats['anomalous']} anomalous, "
                f"{beats['episodes']} episodes"
            )
        for what in (out, *sorted(self._written)):
            if what is not None and self._total <= SHOWN:
                typer.echo(f"written: {what}")
        if self.faults and self._total > 1:
            typer.echo(f"beatgan: {self.faults} of {self._total} failed, see above", err=True)

    def _count(self, result: "Result") -> None:
        self._seconds += len(result.ecg) / result.fs
        self._beats["beats"] += len(result)
        self._beats["anomalous"] += int(result.beats["anomalous"].sum())
        self._beats["episodes"] += len(result.episodes)

    def _annotate(self, source: "Source", result: "Result") -> str | None:
        """Why the annotations that are wanted could not be written; None where they could."""
        if self._annotations is None:
            return None
        path = source.path
        record = path if not path.suffix or not path.is_file() else path.with_suffix("")
        target = record.with_name(f"{record.name}.{self._annotations}")
        if target in self._written:
            return f"{target}: was written for another recording of that name"
        if target.exists() and not self._overwrite:
            return f"{target}: is there already; --overwrite writes over it"
        try:
            self._written.add(result.write_wfdb(record, self._annotations))
        except BeatganError as error:
            return one_line(error)
        return None


def _described(result: "Result") -> str:
    from beatgan.records import summary

    return f"{result.name}: {summary(result.recording)}\n    {result}"


def _show_episodes(result: "Result") -> None:
    for episode in result.episodes[:SHOWN]:
        until = "..." if episode.end_s is None else f"{episode.end_s:.1f}"
        span = f"{episode.onset_s:.1f}-{until} s"
        typer.echo(f"    {span:>18}  {episode.priority:<6}  {episode.code:<28}  {episode.text}")
    if len(result.episodes) > SHOWN:
        typer.echo(f"    and {len(result.episodes) - SHOWN} more")


if __name__ == "__main__":
    main()
