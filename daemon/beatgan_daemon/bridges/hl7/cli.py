"""`beatgan-bridge hl7`: a daemon's alerts to an HL7 v2 receiver over MLLP."""

import ssl
from pathlib import Path
from time import monotonic, sleep, time_ns
from typing import Annotated

import typer

from beatgan.errors import UsageError
from beatgan.protocol.messages import decode_alert
from beatgan_daemon import log
from beatgan_daemon.bridges import options, peer_address
from beatgan_daemon.bridges.alert_feed import AlertFeed
from beatgan_daemon.bridges.bed_map import BedMap
from beatgan_daemon.bridges.dry_run import print_alerts
from beatgan_daemon.bridges.hl7.delivery import Delivery, Outcome
from beatgan_daemon.bridges.hl7.mllp import MllpClient, Receiver
from beatgan_daemon.bridges.hl7.oru_r40 import oru_r40
from beatgan_daemon.bridges.hl7.refusals import Refusals
from beatgan_daemon.bridges.peer_address import host_and_port, require_tls, tls_context
from beatgan_daemon.bridges.process import TURN_S, BridgeProcess, running
from beatgan_daemon.extras import needing

PORT = 2575  # IANA's for MLLP

app = typer.Typer(help="Alerts to an HL7 v2 receiver.")


@app.command("out")
def out(
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="HOST[:PORT]", help=f"the receiver, which speaks MLLP; port {PORT}"
        ),
    ] = None,
    tls: peer_address.Tls = False,
    tls_ca: peer_address.TlsCa = None,
    tls_cert: peer_address.TlsCert = None,
    tls_key: peer_address.TlsKey = None,
    in_the_clear: peer_address.InTheClear = False,
    beds: Annotated[
        Path | None,
        typer.Option("--map", metavar="FILE", help="streams' places and patients, TOML"),
    ] = None,
    answer_s: Annotated[
        float, typer.Option("--answer-s", min=0.1, help="how long an answer may take")
    ] = 10.0,
    fault_s: Annotated[
        float,
        typer.Option("--fault-s", min=0.0, help="how long to try again on AE; then it is refused"),
    ] = 60.0,
    publish: options.Publish = options.PUBLISH,
    control: options.Control = options.CONTROL,
    state: options.State = None,
    since: options.Since = None,
    key: options.Key = None,
    server_key: options.ServerKey = None,
    dry_run: options.DryRun = False,
) -> None:
    """Send each alert as ORU^R40, in order, until the receiver accepts it."""
    with needing("hl7"):
        import hl7.mllp  # noqa: F401
    context = tls_context(tls, tls_ca, tls_cert, tls_key)
    receiver = _receiver(to, context, in_the_clear=in_the_clear) if not dry_run else None
    bed_map = BedMap(beds, lambda text: log.get().error("no places and patients", why=text))
    feed = options.alert_feed(publish, control, state, since, key, server_key, dry_run=dry_run)
    if receiver is None:
        print_alerts("hl7 out", feed, lambda body: _lines(body, bed_map))
        return
    with running("hl7 out", feed.count, feed.close) as bridge:
        _send(bridge, feed, receiver, bed_map, Refusals(state), answer_s, fault_s)


def _send(
    bridge: BridgeProcess,
    feed: AlertFeed,
    receiver: Receiver,
    beds: BedMap,
    refusals: Refusals,
    answer_s: float,
    fault_s: float,
) -> None:
    status = f"to {receiver}"

    def stopping() -> bool:
        bridge.turn(status)
        return bridge.stopping()

    with MllpClient(receiver, answer_s, stopping) as client:
        delivery = Delivery(client, beds, refusals, fault_s)
        bridge.ready(status)
        while not stopping():
            alert = feed.wait(TURN_S)
            if alert is None:
                continue
            pause = delivery.next_at - monotonic()
            if pause > 0:
                sleep(min(TURN_S, pause))
                continue
            outcome = delivery.attempt(alert.body)
            feed.count.peer_reconnects = max(0, client.connections - 1)
            if outcome is not Outcome.LATER:
                feed.done(refused=outcome is Outcome.REFUSED)


def _lines(body: bytes, beds: BedMap) -> str:
    return oru_r40(decode_alert(body), beds.beds(), time_ns()).replace("\r", "\n")


def _receiver(to: str | None, tls: ssl.SSLContext | None, *, in_the_clear: bool) -> Receiver:
    if to is None:
        raise UsageError("--to: give the receiver, HOST or HOST:PORT")
    host, port = host_and_port("--to", to, PORT)
    require_tls("--to", host, tls, "alerts", in_the_clear=in_the_clear)
    return Receiver(host, port, tls)
