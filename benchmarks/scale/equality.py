"""Do 1, 2 and 4 shards say what one daemon says, to the bit?

Real ECG with every kind of alarm, some of its frames lost on the way, goes faster than real time
through one daemon and through shards. Each one's beats and alerts are compared with those of the
same frames offline: every field, but those that depend on the moment.
    python -m benchmarks.scale.equality --streams 200 --seconds 120
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final, NamedTuple

import msgspec
import typer
from msgspec import UNSET
from msgspec.structs import replace

from beatgan.alarms.codes import AlarmCode
from beatgan.model.shipped import SHIPPED
from beatgan.protocol.messages import (
    AlertMessage,
    BeatMessage,
    Delay,
    Message,
    decode_alert,
    encode_json,
)
from benchmarks.performance.load.schedule import Schedule
from benchmarks.scale import trial
from benchmarks.scale.machine import machine
from benchmarks.scale.ray_shards import under_ray
from benchmarks.scale.reference import offline
from benchmarks.scale.shards import QUIET, StartShards, alone, mapped, numbered

BY_ARRIVAL: Final = (AlarmCode.NO_DATA, AlarmCode.RATE_MISMATCH)  # of no sample, but of the clock
SHOWN = 3  # messages that differ


class Said(NamedTuple):
    """Beats and alerts as bytes, each with how often it came, without what depends on the moment:
    an alert's number, delay and fence, and when it was raised."""

    beats: Counter[bytes]
    alerts: Counter[bytes]


class Outcome(NamedTuple):
    """What one way to run came to. ``faults``: what is not as promised; ``void``: why it says
    nothing."""

    name: str
    beats: int
    alerts: int
    sent: int
    received: int
    lost: int
    seconds: float
    by_shard: list[int]  # samples received
    faults: list[str]
    void: list[str]


class _Kind(msgspec.Struct):
    type: str
    repeat: bool = False


_kind = msgspec.json.Decoder(_Kind).decode


def timeless(alert: AlertMessage, strips: bool = True) -> bytes:
    """The alert without what depends on the moment at which it was made; ``strips``: its ECG."""
    if not strips:
        alert = replace(alert, strip=UNSET)
    return encode_json(replace(alert, n=0, raised_ns=0, delay_ms=Delay(0.0, 0.0), fence=UNSET))


def said_live(bodies: Iterable[bytes], *, strips: bool = True) -> Said:
    """What a listener heard; an alert that was told again counts once; see `timeless`."""
    said = Said(Counter(), Counter())
    for body in bodies:
        kind = _kind(body)
        if kind.type == "beat":
            said.beats[body] += 1
        elif kind.type == "alert" and not kind.repeat:
            alert = decode_alert(body)
            if alert.code not in BY_ARRIVAL:
                said.alerts[timeless(alert, strips)] += 1
    return said


def said_offline(messages: Iterable[Message], *, strips: bool = True) -> Said:
    """The same of one engine."""
    said = Said(Counter(), Counter())
    for message in messages:
        if isinstance(message, BeatMessage):
            said.beats[encode_json(message)] += 1
        elif isinstance(message, AlertMessage):
            said.alerts[timeless(decode_alert(encode_json(message)), strips)] += 1
    return said


def differences(live: Said, expected: Said) -> list[str]:
    """In words, each with a few examples."""
    found = []
    for what, ours, theirs in zip(("beats", "alerts"), live, expected, strict=True):
        for how, which in (("missing", theirs - ours), ("too many", ours - theirs)):
            if which:
                some = b"; ".join([body[:300] for body in which][:SHOWN]).decode()
                found.append(f"{which.total()} {what} {how}: {some}")
    return found


def run(name: str, start: StartShards, count: int, what: Schedule, model: Path) -> Outcome:
    """One way to run, beside the same frames offline."""
    began = time.monotonic()
    with TemporaryDirectory(prefix="beatgan-scale-") as held:
        settings = (f"model.path={model.resolve()}", "model.device=cpu", *QUIET)
        with start(Path(held), count, settings) as shards:
            course = trial.course(Path(held), shards, what)
    live = said_live(heard.body for heard in course.heard)
    expected = said_offline(offline(what, trial.real_ecg(), course.sent.epoch, model))
    frames = sum(what.stops) - sum(what.starts)
    left_out = frames - course.sent.frames - course.sent.refused
    received, lost = (
        int(course.counts[f"beatgan_samples_{word}_total"]) for word in ("received", "lost")
    )
    faults = differences(live, expected)
    if (received, lost) != (course.sent.frames * what.frame, left_out * what.frame):
        faults.append(f"{left_out * what.frame} samples were lost on the way")
    return Outcome(
        name=name,
        beats=live.beats.total(),
        alerts=live.alerts.total(),
        sent=frames * what.frame,
        received=received,
        lost=lost,
        seconds=time.monotonic() - began,
        by_shard=[*course.received.values()],
        faults=faults,
        void=trial.spoilt(course.sent),
    )


def table(outcomes: Iterable[Outcome]) -> str:
    """For people."""
    columns = ("", "beats", "alerts", "samples sent", "received", "lost", "to the bit", "s")
    lines = [f"{columns[0]:14}" + "".join(f"{each:>14}" for each in columns[1:])]
    for each in outcomes:
        same = "void" if each.void else "no" if each.faults else "yes"
        cells = (each.beats, each.alerts, each.sent, each.received, each.lost, same)
        row = "".join(f"{cell:>14}" for cell in (*cells, f"{each.seconds:.0f}"))
        lines.append(f"{each.name:14}{row}")
        if len(each.by_shard) > 1:
            total = sum(each.by_shard)
            shares = ", ".join(f"{part / total:.1%}" for part in each.by_shard)
            lines.append(f"{'':14}of the samples by shard: {shares}")
        lines += [f"  {each}" for each in (*each.void, *each.faults)]
    return "\n".join(lines)


WAYS: Final[Mapping[str, tuple[StartShards, int]]] = {
    "one daemon": (alone, 1),
    **{f"--shard N/{count}": (numbered, count) for count in (1, 2, 4)},
    **{f"map, {count}": (mapped, count) for count in (1, 2, 4)},
    **{f"Ray, {count}": (under_ray, count) for count in (1, 2, 4) if find_spec("ray")},
}


def main(
    model: Annotated[Path, typer.Option()] = SHIPPED,
    streams: Annotated[int, typer.Option(min=1)] = 200,
    seconds: Annotated[float, typer.Option(help="Of signal, of each stream.")] = 120.0,
    speed: Annotated[float, typer.Option(help="Times real time.")] = 6.0,
    left_out: Annotated[int, typer.Option(help="Of so many frames one is lost on the way.")] = 50,
    only: Annotated[
        str, typer.Option(help="Of the ways to run, those with this in their name.")
    ] = "",
) -> None:
    """Print a row for each way to run. Ends with 1 where one is not as it should be, or void."""
    what = trial.plan(streams, seconds, speed=speed, left_out=left_out)
    typer.echo(machine())
    typer.echo(f"{streams} streams, {seconds:g} s of each at {speed:g} times real time")
    ways = {name: way for name, way in WAYS.items() if only in name}
    outcomes = [run(name, *way, what, model) for name, way in ways.items()]
    typer.echo(table(outcomes))
    if any(each.faults or each.void for each in outcomes):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
