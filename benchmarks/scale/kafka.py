"""Kafka places the buckets of two shards, which are killed; a bridge leaves and comes back.

Real ECG goes in real time to librdkafka's mock broker, and by two bridges of one group to shards.
What they say is held against the same frames offline: which beats and alerts are missing or too
many, and how often a beat was told again after a kill.
    python -m benchmarks.scale.kafka --streams 24 --seconds 180 --kills 4
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Annotated, Final, NamedTuple

import typer
from confluent_kafka import Producer

from beatgan.model.shipped import SHIPPED
from beatgan.protocol.buckets import BUCKETS
from beatgan.protocol.messages import decode_alert
from beatgan_daemon.bridges.frame_body import frame_body
from beatgan_daemon.bridges.kafka.topics import PREFIX, topics
from beatgan_daemon.clients.client import fetch_alerts
from beatgan_daemon.sharding.shard_map import read_map
from benchmarks.performance.load.generator import Senders
from benchmarks.performance.load.schedule import Schedule
from benchmarks.robustness.bridges.kafka_brokers import KafkaBrokers
from benchmarks.robustness.bridges.processes import BridgeProcess
from benchmarks.scale import trial
from benchmarks.scale.equality import (
    BY_ARRIVAL,
    Said,
    differences,
    said_live,
    said_offline,
    timeless,
)
from benchmarks.scale.listener import read
from benchmarks.scale.machine import machine
from benchmarks.scale.reference import offline
from benchmarks.scale.shards import NAMES, Shards, mapped

ECG: Final = topics(PREFIX).ecg
SETTINGS: Final = ("ingest.plain_topics=false", "state.checkpoint_s=10")
REPLAY_S: Final = 25.0  # more than twice that
PATIENCE_S: Final = 120.0
DOWN_S: Final = 0.5  # as RestartSec= of a service manager


class Outcome(NamedTuple):
    """What came of it. ``again``: beats told a second time, after a kill."""

    said: Said
    expected: Said
    again: int
    no_data: int
    moves: list[str]
    bridges: list[str]

    def faults(self) -> list[str]:
        """What should not have been: a beat told again counts once."""
        once = Said(Counter(set(self.said.beats)), self.said.alerts)
        return differences(once, self.expected)


class Devices(Thread):
    """Send every stream to the brokers in real time."""

    def __init__(self, address: str, what: Schedule, epoch: int) -> None:
        super().__init__(daemon=True)
        self._producer = Producer({"bootstrap.servers": address, "log_level": 0})
        self._what, self._senders = what, Senders(what, trial.real_ecg(), epoch)
        self.begin = time.monotonic() + 1.0

    def run(self) -> None:
        """Until the signal ends."""
        what = self._what
        step = what.frame / what.fs / what.speed
        for interval in range(max(what.stops)):
            time.sleep(max(0.0, self.begin + (interval + 1) * step - time.monotonic()))
            for stream in range(what.streams):
                if what.starts[stream] <= interval < what.stops[stream]:
                    self._send(stream, interval)
            self._producer.poll(0)
        assert self._producer.flush(PATIENCE_S) == 0

    def _send(self, stream: int, interval: int) -> None:
        topic, *rest = self._senders.frame(stream, interval)
        key = topic.rpartition(b".")[2]
        self._producer.produce(ECG, frame_body([topic, *rest]), key)


def bridge(shards: Shards, number: int, address: str, folder: Path) -> BridgeProcess:
    """Beside a shard."""
    shard = next(each for each in shards.ready() if each.name == NAMES[number])
    where = ("--brokers", address, "--from-beginning", "--replay", str(REPLAY_S))
    beside = ("--shard", str(shards.directory / shard.name), "--connect", shard.ingest)
    words = ("kafka", "in", *where, *beside, "--control", shard.control)
    return BridgeProcess(words, folder / f"bridge-{number}.log")


def run(what: Schedule, kills: int, leaves: int, model: Path, folder: Path) -> Outcome:
    """One run: ``kills`` of the shards in turn, then the second bridge leaves and comes back."""
    moves: list[str] = []
    with ExitStack() as stack:
        kafka = stack.enter_context(KafkaBrokers(ECG, partitions=BUCKETS))
        settings = (f"model.path={model.resolve()}", "model.device=cpu", *SETTINGS)
        shards = stack.enter_context(mapped(folder, 2, settings))
        bridges = [bridge(shards, number, kafka.address, folder) for number in range(2)]
        stack.callback(lambda: [each.stop() for each in bridges])
        epoch = time.time_ns()
        file = folder / "heard"
        with trial.listening(file, shards.ready()):
            devices = Devices(kafka.address, what, epoch)
            devices.start()
            for when, event in events(what, kills, leaves):
                time.sleep(max(0.0, devices.begin + when - time.monotonic()))
                before = read_map(shards.directory)
                _do(event, shards, bridges)
                moves.append(f"{when:.0f} s: {event}; {settled(shards, before, event)}")
            devices.join()
            trial.taken_in(shards.ready(), (sum(what.stops) - sum(what.starts)) * what.frame)
        endpoints = [shard.control for shard in shards.ready()]
        journals = [decode_alert(body) for each in endpoints for body in fetch_alerts(each)]
        for each in bridges:
            each.stop()
        lines = [line for each in bridges for line in each.said()]
    said = said_live(heard.body for heard in read(file))
    expected = said_offline(offline(what, trial.real_ecg(), epoch, model))
    first = [each for each in journals if each.repeat is not True]
    alerts = Counter(timeless(each) for each in first if each.code not in BY_ARRIVAL)
    again = said.beats.total() - len(said.beats)
    no_data = sum(each.code in BY_ARRIVAL and each.phase == "start" for each in first)
    return Outcome(Said(said.beats, alerts), expected, again, no_data, moves, lines)


def events(what: Schedule, kills: int, leaves: int) -> Iterator[tuple[float, str]]:
    """What is done, and at how many seconds from the beginning."""
    names = [f"kill {number % 2}" for number in range(kills)]
    names += ["leave 1", "join 1"] * leaves
    seconds = max(what.stops) * what.frame / what.fs / what.speed
    for number, name in enumerate(names):
        yield (number + 1) * seconds / (len(names) + 1), name


def _do(event: str, shards: Shards, bridges: Sequence[BridgeProcess]) -> None:
    verb, number = event.split()
    if verb == "kill":
        shards.kill(NAMES[int(number)])
        time.sleep(DOWN_S)
        shards.start(NAMES[int(number)])
        shards.ready()
    elif verb == "leave":
        bridges[int(number)].stop()
    else:
        bridges[int(number)].start()


def settled(shards: Shards, before: object, event: str) -> str:
    """How the map stands once it follows."""
    if event.startswith("kill"):
        return "it runs again"
    end = time.monotonic() + PATIENCE_S
    while (now := read_map(shards.directory)) == before and time.monotonic() < end:
        time.sleep(0.05)
    return ", ".join(f"{name} has {len(now.fences_of(name))}" for name in now.shards())


def main(
    model: Annotated[Path, typer.Option()] = SHIPPED,
    streams: Annotated[int, typer.Option(min=1)] = 24,
    seconds: Annotated[float, typer.Option(help="Of signal, of each stream.")] = 180.0,
    kills: Annotated[int, typer.Option(help="Of the two shards in turn.")] = 4,
    leaves: Annotated[int, typer.Option(help="Of the second bridge, which comes back.")] = 1,
    keep: Annotated[Path | None, typer.Option(help="A folder for all logs and state.")] = None,
) -> None:
    """Say what was found. Ends with 1 where something is missing or too many."""
    typer.echo(machine())
    with TemporaryDirectory(prefix="beatgan-kafka-") as held:
        folder = keep or Path(held)
        folder.mkdir(exist_ok=True)
        found = run(trial.plan(streams, seconds), kills, leaves, model, folder)
    for line in (*found.moves, *found.bridges):
        typer.echo(line)
    beats, alerts = len(found.expected.beats), found.expected.alerts.total()
    typer.echo(f"{len(found.said.beats)} beats of {beats}, {found.again} of them told again")
    typer.echo(f"{found.said.alerts.total()} alerts of {alerts}; {found.no_data} of missing data")
    faults = found.faults()
    for each in faults:
        typer.echo(each)
    if faults:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
