"""The commands `beatgan-bridge mqtt in` and `mqtt out`: parse, call."""

import ssl
from pathlib import Path
from socket import gethostname
from typing import Annotated

import typer

from beatgan.errors import UsageError
from beatgan_daemon.bridges import options
from beatgan_daemon.bridges.beat_feed import BeatFeed
from beatgan_daemon.bridges.dry_run import print_alerts
from beatgan_daemon.bridges.mqtt import alerts_out, ecg_in, home_assistant
from beatgan_daemon.bridges.mqtt.broker import Address, tls_context
from beatgan_daemon.bridges.mqtt.credentials import read_credentials
from beatgan_daemon.bridges.mqtt.topics import PREFIX, Topics
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
Tls = Annotated[bool, typer.Option("--tls", help="encrypted; trusts what this system trusts")]
TlsCa = Annotated[
    Path | None, typer.Option(metavar="FILE", help="and only this authority, PEM; turns --tls on")
]
TlsCert = Annotated[
    Path | None, typer.Option(metavar="FILE", help="our certificate, PEM; turns --tls on")
]
TlsKey = Annotated[Path | None, typer.Option(metavar="FILE", help="its key, PEM")]
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
    tls: Tls = False,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    client_id: ClientId = None,
    dry_run: options.DryRun = False,
    key: options.Key = None,
    server_key: options.ServerKey = None,
) -> None:
    """ECG from PREFIX/ecg/STREAM to a daemon: frames in binary, or JSON."""
    address = _address(broker, client_id, "in", login, _tls(tls, tls_ca, tls_cert, tls_key))
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
    tls: Tls = False,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    client_id: ClientId = None,
    dry_run: options.DryRun = False,
    key: options.Key = None,
    server_key: options.ServerKey = None,
) -> None:
    """Alerts to PREFIX/alert/STREAM, how they stand to PREFIX/active/STREAM, retained."""
    address = _address(broker, client_id, "out", login, _tls(tls, tls_ca, tls_cert, tls_key))
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
    client_id: str | None,
    direction: str,
    login: Path | None,
    tls: ssl.SSLContext | None,
) -> Address:
    host, port = _host_and_port(broker, PLAIN_PORT if tls is None else TLS_PORT)
    credentials = None if login is None else read_credentials(login)
    name = client_id or f"beatgan-{direction}-{gethostname()}"
    return Address(host, port, name, credentials, tls)


def _host_and_port(text: str, default: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in host and not host.endswith("]")):
        host, port = text, str(default)
    if not host or not port.isdecimal() or not 0 < int(port) <= 65_535:
        raise UsageError(f"--broker {text}: expected HOST or HOST:PORT")
    return host.strip("[]"), int(port)


def _tls(
    wanted: bool, ca: Path | None, certificate: Path | None, key: Path | None
) -> ssl.SSLContext | None:
    if key is not None and certificate is None:
        raise UsageError("--tls-key: give --tls-cert as well")
    if not wanted and ca is None and certificate is None:
        return None
    return tls_context(ca, certificate, key)
