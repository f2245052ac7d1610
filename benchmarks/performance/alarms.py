"""What all alarms of a stream cost together, in us a stream-second and a beat: one lead and two.

A recording runs through the daemon's own engine once, and what that asks of its alarms (`policy.py`
with every detector) is written down. The same calls, to a fresh object, are then timed alone: the
least of the rounds counts. What makes messages of alerts is not in it.
    python -m benchmarks.performance.alarms                                  the bundled sample
    python -m benchmarks.performance.alarms data/mitdb/119 data/mitdb/208    records with two leads
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import process_time
from typing import Annotated, Any
from unittest.mock import patch

import numpy as np
import typer

from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.policy import EpisodePolicy
from beatgan.frontend import choose_leads
from beatgan.model.loading import Loaded
from beatgan.pipeline import segment
from beatgan.playback.offline import score_recordings
from beatgan.records import SAMPLE, Recording, only, read_recording
from beatgan.types import Score
from beatgan_daemon.model_loading import load_model

CALLS = ("push", "settle", "close")


@dataclass(frozen=True, slots=True)
class Call:
    """A method of the policy, and what it was given."""

    name: str
    arguments: tuple[Any, ...]


@dataclass(slots=True)
class Asked:
    """What one stream's policy was made with, and asked for, in order."""

    made_with: tuple[Any, ...]
    calls: list[Call] = field(default_factory=list)

    def beats(self) -> int:
        """How many it was given."""
        return sum(
            call.name == "push" and isinstance(call.arguments[0], Score) for call in self.calls
        )

    def time(self) -> float:
        """Seconds that the calls take a fresh policy."""
        policy = EpisodePolicy(*self.made_with)
        bound = [(getattr(policy, call.name), call.arguments) for call in self.calls]
        began = process_time()
        for method, arguments in bound:
            method(*arguments)
        return process_time() - began


class Recorder:
    """Stands in for a policy: what is asked of it from outside is written down."""

    def __init__(self, into: list[Asked], *made_with: Any) -> None:
        self._policy, self._asked = EpisodePolicy(*made_with), Asked(made_with)
        into.append(self._asked)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._policy, name)
        return partial(self._call, name, value) if name in CALLS else value

    def _call(self, name: str, method: Callable[..., Any], *arguments: Any) -> Any:
        self._asked.calls.append(Call(name, arguments))
        return method(*arguments)


def asked(recording: Recording, loaded: Loaded) -> Asked:
    """All that is asked of the alarms of ``recording``."""
    found: list[Asked] = []
    with patch.object(segment, "EpisodePolicy", partial(Recorder, found)):
        messages = score_recordings(
            [recording], loaded.spec, loaded.coefficients, loaded.scorer, AlarmLimits()
        )
        deque(messages, maxlen=0)
    (stream,) = found
    return stream


def variants(recording: Recording, preferred: Sequence[str]) -> list[Recording]:
    """The recording with one lead and with two; the second is a copy where there is only one."""
    first = recording.leads[choose_leads(recording.leads, preferred, 1)[0]]
    one = only(recording, first)
    if len(recording.leads) > 1:
        return [one, recording]
    samples = np.repeat(one.samples, 2, axis=1)
    return [one, replace(one, leads=("MLII", "V5"), samples=samples, name=f"{one.name}, twice")]


def main(
    records: Annotated[list[str] | None, typer.Argument(help="WFDB, EDF or CSV")] = None,
    model: Annotated[Path, typer.Option()] = Path("models/student.pt"),
    rounds: Annotated[int, typer.Option(min=1)] = 7,
) -> None:
    """Print a row for each recording and number of leads, then the mean of each number."""
    loaded = load_model(model, "cpu")
    by_leads: dict[int, list[float]] = {}
    for path in records or [SAMPLE]:
        for recording in variants(read_recording(path), loaded.spec.leads):
            all_asked = asked(recording, loaded)
            seconds = len(recording.samples) / recording.fs
            cost = 1e6 * min(all_asked.time() for _ in range(rounds)) / seconds
            leads = len(recording.leads)
            by_leads.setdefault(leads, []).append(cost)
            calls = len(all_asked.calls) / seconds
            title = f"{recording.name}, {leads} lead(s)"
            beat = cost * seconds / all_asked.beats()
            typer.echo(
                f"{title:28}{cost:7.2f} us a stream-second, {beat:.2f} a beat, {calls:.1f} calls"
            )
    for leads, costs in by_leads.items():
        mean = f"mean, {leads} lead(s)"
        typer.echo(f"{mean:28}{sum(costs) / len(costs):7.2f} us a stream-second")


if __name__ == "__main__":
    typer.run(main)
