"""The commands `beatgan-bridge kafka in` and `kafka out`: parse, call."""

from pathlib import Path
from typing import Annotated

import typer

from beatgan.errors import UsageError
from beatgan_daemon.bridges import options
from beatgan_daemon.bridges.beat_feed import BeatFeed
from beatgan_daemon.bridges.dry_run import print_alerts
from beatgan_daemon.bridges.kafka import alerts_out, ecg_in
from beatgan_daemon.bridges.kafka.client_settings import (
    BESIDE_A_SHARD,
    CONSUMER,
    PRODUCER,
    UNLESS_GIVEN_BESIDE_A_SHARD,
    client_settings,
)
from beatgan_daemon.bridges.kafka.consumer import SETTLE_S, KafkaConsumer
from beatgan_daemon.bridges.kafka.membership import REPLAY_S, Membership
from beatgan_daemon.bridges.kafka.pace import CATCH_UP
from beatgan_daemon.bridges.kafka.placement import Placement
from beatgan_daemon.bridges.kafka.producer import KafkaProducer
from beatgan_daemon.bridges.kafka.topics import PREFIX, topics
from beatgan_daemon.bridges.peer_address import InTheClear
from beatgan_daemon.bridges.signal_in import SignalIn
from beatgan_daemon.clients.client import Client
from beatgan_daemon.security import curve

ANSWER_S = 2.0  # for a shard to say how its streams stand

app = typer.Typer(help="Kafka: ECG from a topic, alerts and beats to topics.")

Brokers = Annotated[
    str, typer.Option("--brokers", metavar="HOST:PORT,...", help="some of the brokers")
]
Topic = Annotated[str, typer.Option("--topic", metavar="PREFIX", help="what all topics begin with")]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="librdkafka's properties, name=value; chmod 600"),
]


@app.command("in")
def in_(
    brokers: Brokers = "localhost:9092",
    topic: Topic = PREFIX,
    group: Annotated[
        str, typer.Option("--group", metavar="NAME", help="bridges of one group share the streams")
    ] = "beatgan",
    from_beginning: Annotated[
        bool,
        typer.Option("--from-beginning", help="what is there already, too, where the group is new"),
    ] = False,
    catch_up: Annotated[
        float,
        typer.Option(
            "--catch-up", min=1.0, metavar="X", help="what has piled up: X times real time at most"
        ),
    ] = CATCH_UP,
    shard: Annotated[
        Path | None,
        typer.Option(
            "--shard",
            metavar="DIR/NAME",
            help="beside the shard NAME of DIR: it gets the buckets of this bridge's partitions",
        ),
    ] = None,
    control: Annotated[
        str, typer.Option("--control", metavar="EP", help="with --shard: its control endpoint")
    ] = options.CONTROL,
    replay: Annotated[
        float,
        typer.Option(
            "--replay",
            min=1.0,
            metavar="S",
            help="with --shard: what it was sent so lately comes again if it is killed; more than "
            "twice its state.checkpoint_s",
        ),
    ] = REPLAY_S,
    config: Config = None,
    in_the_clear: InTheClear = False,
    connect: options.Connect = None,
    bind: options.Bind = None,
    dry_run: options.DryRun = False,
    key: options.Key = None,
    server_key: options.ServerKey = None,
) -> None:
    """ECG from the topic PREFIX.ecg to a daemon."""
    if shard is not None and dry_run:
        raise UsageError("--shard, --dry-run: give one of them; a dry run moves no bucket")
    settings = {
        **({} if shard is None else UNLESS_GIVEN_BESIDE_A_SHARD),
        **client_settings(brokers, config, in_the_clear=in_the_clear),
        **CONSUMER,
        **({} if shard is None else BESIDE_A_SHARD),
        "group.id": f"{group}-dry-run" if dry_run else group,  # takes nobody's partitions
        "auto.offset.reset": "earliest" if from_beginning else "latest",
    }
    ecg = topics(topic).ecg
    placement = None if shard is None else Placement(shard)
    consumer = KafkaConsumer(settings, ecg, SETTLE_S if placement is None else replay)
    output = options.frame_output(bind, connect, key, server_key, dry_run=dry_run)
    patient = ecg_in.PatientOutput(output)
    if placement is None:
        ecg_in.run(consumer, SignalIn(patient), patient, catch_up)
        return
    configure = curve.configuration(key, server_key)
    with Client(control, configure=configure, timeout=ANSWER_S) as client:
        membership = Membership(consumer, placement, ecg, client.streams)
        ecg_in.run(consumer, SignalIn(patient), patient, catch_up, membership)


@app.command("out")
def out(
    brokers: Brokers = "localhost:9092",
    topic: Topic = PREFIX,
    config: Config = None,
    in_the_clear: InTheClear = False,
    beats: Annotated[
        bool, typer.Option("--beats", help="each beat to PREFIX.beat as well")
    ] = False,
    publish: options.Publish = options.PUBLISH,
    control: options.Control = options.CONTROL,
    state: options.State = None,
    since: options.Since = None,
    dry_run: options.DryRun = False,
    key: options.Key = None,
    server_key: options.ServerKey = None,
) -> None:
    """Each alert to the topic PREFIX.alert, in order."""
    named = topics(topic)
    feed = options.alert_feed(publish, control, state, since, key, server_key, dry_run=dry_run)
    if dry_run:
        print_alerts("kafka out", feed, lambda body: f"{named.alert} {body.decode()}")
        return
    settings = client_settings(brokers, config, in_the_clear=in_the_clear)
    producer = KafkaProducer({**settings, **PRODUCER})
    configure = curve.configuration(key, server_key)
    heard = BeatFeed(publish, feed.count, configure) if beats else None
    alerts_out.run(feed, heard, producer, named)
