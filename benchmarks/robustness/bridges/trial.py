"""One trial: a daemon, a bridge in, a bridge out, a counterpart that is cut off twice."""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import monotonic, sleep

from beatgan.errors import UsageError
from beatgan.types import Floats
from beatgan_daemon.clients.client import fetch_alerts
from beatgan_daemon.clients.process import Endpoints, start_daemon
from beatgan_daemon.model_loading import load_model
from benchmarks.robustness.bridges import evidence
from benchmarks.robustness.bridges.counterpart import FS, Counterpart
from benchmarks.robustness.bridges.direct_device import DirectDevice
from benchmarks.robustness.bridges.ecg import device_ecg
from benchmarks.robustness.bridges.listener import Listener
from benchmarks.robustness.bridges.processes import BridgeProcess

FRAME_S = 0.2
CUTS = (0.3, 0.6)  # shares of the trial at which the counterpart goes
AWAY = 0.05  # share for which it is away; MOST_AWAY_S at most
MOST_AWAY_S = 30.0
SETTLE_S = 60.0  # for all to arrive at the end
QUIET_S = 8.0  # in which no alert comes any more: longer than what tells of a stream's silence
ALARMS = ("alarms.refractory_s=0", "alarms.burst=1000000", "alarms.max_per_hour=1000000")


Send = Callable[[str, int, Floats], None]


@dataclass
class Result:
    """``facts`` for people; ``faults``: what should not have been."""

    facts: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(self, found: tuple[list[str], str]) -> None:
        """What one look gave."""
        faults, fact = found
        self.faults += faults
        if fact and not faults:
            self.facts.append(fact)


class Devices(Thread):
    """Send every stream in real time, whatever is cut."""

    def __init__(self, send: Send, ecg: dict[str, Floats]) -> None:
        super().__init__(daemon=True)
        self._send, self._ecg = send, ecg
        self.stopped = Event()

    def run(self) -> None:
        """Until the signal ends."""
        size, begin, first = round(FRAME_S * FS), monotonic(), 0
        longest = max((len(signal) for signal in self._ecg.values()), default=0)
        while first < longest and not self.stopped.is_set():
            sleep(max(0.0, begin + (first + size) / FS - monotonic()))
            for stream, signal in self._ecg.items():
                self._send(stream, first, signal[first : first + size])
            first += size


def try_bridge(
    make: Callable[[Path], Counterpart],
    seconds: float,
    model: Path,
    keep: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Result:
    """Run it, and look at what came of it; ``keep``: a folder for logs and state, else they are
    removed."""
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(TemporaryDirectory(prefix="bridges-")))
        folder.mkdir(parents=True, exist_ok=True)
        counterpart = make(folder)
        ecg = {name: device_ecg(seconds, n) for n, name in enumerate(counterpart.streams)}
        options = [f"state.dir={folder / 'state'}", "tap.bind=tcp://127.0.0.1:*", *ALARMS]
        arguments = ["--model", str(model), *(word for o in options for word in ("--set", o))]
        daemon = stack.enter_context(start_daemon(arguments, folder / "daemon.log"))
        endpoints = daemon.wait_until_ready()
        assert endpoints is not None
        listener = stack.enter_context(Listener(endpoints))
        counterpart.start()
        stack.callback(counterpart.close)
        in_, out = _bridges(counterpart, endpoints, folder)
        stack.callback(lambda: [bridge.stop() for bridge in (in_, out) if bridge])
        devices = Devices(_sender(counterpart, endpoints, stack), ecg)
        devices.start()
        stack.callback(devices.stopped.set)
        _cut_off(counterpart, out, seconds, say)
        devices.join()
        result, loaded = Result(), load_model(model, "cpu", lambda _: None)
        journal = _settle(counterpart, endpoints, say)
        _end(in_, result)
        _end(out, result)
        if in_ is not None:
            _count_in(in_, listener, result)
        for stream, signal in ecg.items():
            frames = listener.frames.get(stream)
            if not frames:
                result.faults.append(f"{stream}: nothing came")
                continue
            result.add(evidence.conservation(stream, frames, signal))
            result.add(evidence.beats(stream, frames, listener.beats[stream], loaded))
        if out is not None:
            result.add(evidence.alerts(counterpart.alerts(), journal))
            _count_out(out, journal, result)
        return result


def _sender(counterpart: Counterpart, endpoints: Endpoints, stack: ExitStack) -> Send:
    """The counterpart's devices, or one of the protocol where the bridge has no way in."""
    if counterpart.bridge_in:
        return counterpart.send
    device = DirectDevice(endpoints.ingest)
    stack.callback(device.close)
    return device.send


def _bridges(
    counterpart: Counterpart, endpoints: Endpoints, folder: Path
) -> tuple[BridgeProcess | None, BridgeProcess | None]:
    in_ = out = None
    if counterpart.bridge_in:
        arguments = [*counterpart.bridge_in, "--connect", endpoints.ingest]
        in_ = BridgeProcess(arguments, folder / "in.log")
    if counterpart.bridge_out:
        where = ["--publish", endpoints.publish, "--control", endpoints.control]
        state = ["--state", str(folder / "position"), "--since", "0"]
        out = BridgeProcess([*counterpart.bridge_out, *where, *state], folder / "out.log")
    return in_, out


def _cut_off(
    counterpart: Counterpart, out: BridgeProcess | None, seconds: float, say: Callable[[str], None]
) -> None:
    begin = monotonic()
    for share in CUTS:
        sleep(max(0.0, begin + share * seconds - monotonic()))
        say(f"{monotonic() - begin:.0f} s: cut off")
        counterpart.cut()
        if out is not None and counterpart.cuts_bridge_out:
            out.stop()
        sleep(min(MOST_AWAY_S, AWAY * seconds))
        say(f"{monotonic() - begin:.0f} s: back")
        counterpart.back()
        if out is not None and counterpart.cuts_bridge_out:
            out.start()


def _settle(
    counterpart: Counterpart, endpoints: Endpoints, say: Callable[[str], None]
) -> list[bytes]:
    """Let what is on its way arrive; the journal, as who takes alerts should have it."""
    say("the signal has ended")
    end, quiet_since, before = monotonic() + SETTLE_S, monotonic(), -1
    journal: list[bytes] = []
    while monotonic() < end:
        sleep(0.5)
        with suppress(UsageError):
            journal = [counterpart.form(body) for body in fetch_alerts(endpoints.control)]
        got = len(counterpart.alerts())
        if len(journal) + got != before:
            quiet_since, before = monotonic(), len(journal) + got
        if monotonic() > quiet_since + QUIET_S and got >= len(journal):
            break
    return journal


def _end(bridge: BridgeProcess | None, result: Result) -> None:
    if bridge is None:
        return
    code = bridge.stop()
    if code:
        result.faults.append(f"a bridge ended with {code}")
    result.facts += bridge.said()


def _count_in(bridge: BridgeProcess, listener: Listener, result: Result) -> None:
    """Whether its own count is the daemon's."""
    (count,) = bridge.counts()
    signals = [evidence.arrived(frames) for frames in listener.frames.values()]
    counted, there = sum(len(signal) for signal, _ in signals), sum(n for _, n in signals)
    if (count["counted"], count["sent"]) != (counted, there):
        result.faults.append(
            f"the bridge counted {count['counted']} samples and sent {count['sent']}; the daemon "
            f"has {there} of {counted}"
        )
    if count["counted"] != count["sent"] + count["missing"] + count["unsent"]:
        result.faults.append(f"the bridge's count is not exact: {count}")
    if count["source_reconnects"] < len(CUTS):
        result.faults.append(f"{count}: it was not cut off twice")


def _count_out(bridge: BridgeProcess, journal: list[bytes], result: Result) -> None:
    counts = bridge.counts()
    delivered = sum(count["delivered"] for count in counts)
    if delivered != len(journal):
        result.faults.append(f"{delivered} alerts were delivered, of {len(journal)}")
    if len(counts) + sum(count["peer_reconnects"] for count in counts) < 1 + len(CUTS):
        result.faults.append(f"{counts}: it was not cut off twice")
