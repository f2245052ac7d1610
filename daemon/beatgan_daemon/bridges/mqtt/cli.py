"""The commands `beatgan-bridge mqtt in` and `mqtt out`: parse, call."""

import ssl
from pathlib import Path
from socket import gethostname
from typing import Annotated

import typer

from beatgan_daemon.bridges import options, peer_address
from beatgan_daemon.bridges.beat_feed import BeatFeed
from beatgan_daemon.bridges.dry_run import print_alerts
from beatgan_daemon.bridges.mqtt import alerts_out, ecg_in, home_assistant
from beatgan_daemon.bridges.mqtt.broker import Address
from beatgan_daemon.bridges.mqtt.credentials import read_credentials
from beatgan_daemon.bridges.mqtt.topics import PREFIX, Topics
from beatgan_daemon.bridges.peer_address import host_and_port, require_tls, tls_context
from beatgan_daemon.clients.client import Client
from beatgan_daemon.security import curve

PLAIN_PORT, TLS_PORT = 1883, 8883

app = typer.Typer(help="An MQTT 5 broker: ECG from it, alerts and their state to it.")

BrokerOption = Annotated[
    str, typer.Option("--broker", metavar="HOST[:PORT]", help="port 1883, with TLS 8883")
]
TopicOption = Annotated[
    str, typer.Option("--topic", metavar="PREFIX", help="what all topics begin with")
]
Login = Annotated[
    Path | None,
    typer.Option("--login", metavar="FILE", help="two lines, user and password; chmod 600"),
]
ClientId = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="another one for each bridge at a broker  [default: beatgan-in- or -out-HOSTNAME]",
        show_default=False,
    ),
]


@app.command("in")
def in_(
    broker: BrokerOption = "localhost",
    topic: TopicOption = PREFIX,
    connect: options.Connect = None,
    bind: options.Bind = None,
    login: Login = None,
    tls: peer_address.Tls = False,
    tls_ca: peer_address.TlsCa = None,
    tls_cert: peer_address.TlsCert = None,
    tls_key: peer_address.TlsKey = None,
    in_the_clear: peer_address.InTheClear = False,
    client_id: ClientId = None,
    dry_run: options.DryRun = False,
    key: options.Key = None,
    server_key: options.ServerKey = None,
) -> None:
    """ECG from PREFIX/ecg/STREAM to a daemon: frames in binary, or JSON."""
    address = _address(
        broker,
        client_id or f"beatgan-in-{gethostname()}",
        login,
        tls_context(tls, tls_ca, tls_cert, tls_key),
        in_the_clear=in_the_clear,
    )
    signal = options.signal_in(bind, connect, key, server_key, dry_run=dry_run)
    ecg_in.run(address, Topics(topic), signal)


@app.command("out")
def out(
    broker: BrokerOption = "localhost",
    topic: TopicOption = PREFIX,
    publish: options.Publish = options.PUBLISH,
    control: options.Control = options.CONTROL,
    state: options.State = None,
    since: options.Since = None,
    beats: Annotated[
        bool, typer.Option("--beats", help="each beat to PREFIX/beat/STREAM as well, at QoS 0")
    ] = False,
    discovery: Annotated[
        bool, typer.Option("--home-assistant", help="let Home Assistant find the streams")
    ] = False,
    discovery_prefix: Annotated[
        str, typer.Option("--home-assistant-prefix", metavar="PREFIX", help="its discovery prefix")
    ] = home_assistant.PREFIX,
    login: Login = None,
    tls: peer_address.Tls = False,
    tls_ca: peer_address.TlsCa = None,
    tls_cert: peer_address.TlsCert = None,
    tls_key: peer_address.TlsKey = None,
    in_the_clear: peer_address.InTheClear = False,
    client_id: ClientId = None,
    dry_run: options.DryRun = False,
    key: options.Key = None,
    server_key: options.ServerKey = None,
) -> None:
    """Alerts to PREFIX/alert/STREAM, how they stand to PREFIX/active/STREAM, retained."""
    address = _address(
        broker,
        client_id or f"beatgan-out-{gethostname()}",
        login,
        tls_context(tls, tls_ca, tls_cert, tls_key),
        in_the_clear=in_the_clear,
    )
    topics = Topics(topic)
    feed = options.alert_feed(publish, control, state, since, key, server_key, dry_run=dry_run)
    if dry_run:
        print_alerts("mqtt out", feed, lambda body: alerts_out.line(topics, body))
        return
    configure = curve.configuration(key, server_key)
    alerts_out.run(
        address,
        topics,
        feed,
        BeatFeed(publish, feed.count, configure) if beats else None,
        Client(control, configure=configure, timeout=1.0),
        discovery_prefix if discovery else None,
    )


def _address(
    broker: str,
    client_id: str,
    login: Path | None,
    tls: ssl.SSLContext | None,
    *,
    in_the_clear: bool,
) -> Address:
    host, port = host_and_port("--broker", broker, PLAIN_PORT if tls is None else TLS_PORT)
    require_tls("--broker", host, tls, "ECG and alerts", in_the_clear=in_the_clear)
    credentials = None if login is None else read_credentials(login)
    return Address(host, port, client_id, credentials, tls)
