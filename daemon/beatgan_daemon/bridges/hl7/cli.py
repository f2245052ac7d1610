"""`beatgan-bridge hl7`: a daemon's alerts to an HL7 v2 receiver over MLLP."""

import re
import ssl
from ipaddress import ip_address
from pathlib import Path
from time import monotonic, sleep, time_ns
from typing import Annotated

import typer

from beatgan.errors import UsageError
from beatgan.protocol.messages import decode_alert
from beatgan_daemon import log
from beatgan_daemon.bridges import options
from beatgan_daemon.bridges.alert_feed import AlertFeed
from beatgan_daemon.bridges.bed_map import BedMap
from beatgan_daemon.bridges.dry_run import print_alerts
from beatgan_daemon.bridges.extras import needing
from beatgan_daemon.bridges.hl7.delivery import Delivery, Outcome
from beatgan_daemon.bridges.hl7.mllp import MllpClient, Receiver
from beatgan_daemon.bridges.hl7.oru_r40 import oru_r40
from beatgan_daemon.bridges.hl7.refusals import Refusals
from beatgan_daemon.bridges.process import TURN_S, BridgeProcess, running
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.security.private_file import refuse_readable

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
    tls: Annotated[bool, typer.Option("--tls", help="MLLP in TLS")] = False,
    tls_ca: Annotated[
        Path | None,
        typer.Option("--tls-ca", metavar="FILE", help="whom to trust, PEM; else the system's"),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="FILE", help="our own certificate, PEM")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="its key, PEM")
    ] = None,
    in_the_clear: Annotated[
        bool,
        typer.Option("--in-the-clear", help="without TLS to another machine, all the same"),
    ] = False,
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
    context = _context(tls_ca, tls_cert, tls_key) if tls else None
    if context is None and (tls_ca or tls_cert or tls_key):
        raise UsageError("--tls-ca, --tls-cert, --tls-key: with --tls only")
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
    host, port = _split(to)
    if tls is None and not in_the_clear and not _is_local(host):
        raise UsageError(
            f"--to {to}: alerts would go to another machine unencrypted; give --tls, or "
            "--in-the-clear where that network is yours alone"
        )
    return Receiver(host, port, tls)


def _split(to: str) -> tuple[str, int]:
    """HOST, HOST:PORT, [IPv6] or [IPv6]:PORT."""
    if to.count(":") > 1 and not to.startswith("["):
        return to, PORT  # an IPv6 address by itself
    match = re.fullmatch(r"(?:\[([^\[\]]+)\]|([^\[\]:]+))(?::(\d{1,5}))?", to)
    if match is None or not 0 < int(match[3] or PORT) < 65_536:
        raise UsageError(f"--to {to}: expected HOST, HOST:PORT or [IPv6]:PORT")
    return match[1] or match[2], int(match[3] or PORT)


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _context(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    if (cert is None) != (key is None):
        raise UsageError("--tls-cert, --tls-key: give both, or neither")
    try:
        context = ssl.create_default_context(cafile=ca)
        if cert is not None and key is not None:
            refuse_readable(key)
            context.load_cert_chain(cert, key, password=lambda: "")  # asks nobody at a terminal
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(str(each) for each in (ca, cert, key) if each is not None)
        raise StartError(f"{files}: {getattr(error, 'reason', None) or error.strerror}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
