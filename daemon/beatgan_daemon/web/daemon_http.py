"""What the daemon says of itself over HTTP: whether it is ready, and its metrics of late."""

import asyncio
import http.client
import re
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing
from time import monotonic
from typing import Any, Final, NamedTuple

EVERY_S: Final = 10.0
OVER_S: Final = 300.0  # rates are of so long
ANSWER_S: Final = 2.0
MOST_BYTES: Final = 2**20  # of an answer
NOT_ASKED: Final = "not known: the page was started without --metrics"
WORST: Final = ("over_the_last_s", "samples_lost_share", "latency_p99_ms")  # of several daemons
LATENCY: Final = "beatgan_alert_latency_seconds_bucket"
_SAMPLE = re.compile(r"(beatgan_\w+)(\{.*\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Samples = Mapping[str, Mapping[tuple[tuple[str, str], ...], float]]


class _Answer(NamedTuple):
    at: float
    samples: Samples


class DaemonHttp:
    """One daemon."""

    def __init__(self, address: str) -> None:
        """``address``: HOST:PORT."""
        self.address = address
        self.ready: bool | None = None  # None: not known
        self.reason = NOT_ASKED
        self._answers: deque[_Answer] = deque()

    def ask(self) -> None:
        """Ask once."""
        try:
            status, text = _get(self.address, "/readyz")
            _, exposition = _get(self.address, "/metrics")
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.ready, self.reason = None, f"not known: {self.address} does not answer: {error}"
            self._answers.clear()
            return
        self.ready, self.reason = status == 200, "" if status == 200 else text.strip()
        answer = _Answer(monotonic(), read_samples(exposition))
        if self._answers and _total(answer, "beatgan_samples_received_total") < _total(
            self._answers[-1], "beatgan_samples_received_total"
        ):
            self._answers.clear()  # it began anew
        self._answers.append(answer)
        while answer.at - self._answers[0].at > OVER_S:
            self._answers.popleft()

    def model(self) -> str | None:
        """The digest of the model that scores."""
        if not self._answers:
            return None
        for labels in self._answers[-1].samples.get("beatgan_build_info", {}):
            return dict(labels).get("model")
        return None

    def figures(self) -> dict[str, Any]:
        """What the metrics say, by name; empty where they are not known."""
        if not self._answers:
            return {}
        first, last = self._answers[0], self._answers[-1]
        now = {
            "streams": _total(last, "beatgan_streams_active"),
            "streams_shed": _total(last, "beatgan_streams_shed"),
            "journal_alerts": _total(last, "beatgan_journal_alerts"),
            "journal_mb": round(_total(last, "beatgan_journal_bytes") / 2**20, 1),
            "journal_backlog": _total(last, "beatgan_journal_backlog"),
        }
        return {**now, **_rates(first, last)} if last.at > first.at else now


class DaemonsHttp:
    """`DaemonHttp` of one daemon, or of all shards together."""

    def __init__(self, addresses: Callable[[], Mapping[str, str]]) -> None:
        """``addresses``: HOST:PORT by name, of those that are there now."""
        self._addresses = addresses
        self._daemons: dict[str, DaemonHttp] = {}

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            now = self._addresses()
            known = {
                name: each for name, each in self._daemons.items() if each.address == now.get(name)
            }
            self._daemons = {name: known.get(name) or DaemonHttp(at) for name, at in now.items()}
            await asyncio.gather(*(asyncio.to_thread(each.ask) for each in self._daemons.values()))
            await asyncio.sleep(EVERY_S)

    @property
    def ready(self) -> bool | None:
        """Whether all are; None: not known of one at least, and none is known not to be."""
        states = {each.ready for each in self._daemons.values()}
        return False if False in states else None if None in states or not states else True

    @property
    def reason(self) -> str:
        """Why not."""
        if not self._daemons:
            return NOT_ASKED
        reasons = {name: each.reason for name, each in self._daemons.items() if each.reason}
        return "; ".join(f"{name}: {why}" if name else why for name, why in reasons.items())

    def model(self) -> str | None:
        """The digest of the model that scores; several where they differ, as while it changes."""
        digests = {each.model() for each in self._daemons.values()} - {None}
        return ", ".join(sorted(map(str, digests))) or None

    def figures(self) -> dict[str, Any]:
        """As of `DaemonHttp`: sums; shares and delays of the worst."""
        known = [figures for each in self._daemons.values() if (figures := each.figures())]
        merged: dict[str, Any] = {}
        for key in dict.fromkeys(key for figures in known for key in figures):
            values = [figures[key] for figures in known if figures.get(key) is not None]
            combined = max if key in WORST else sum
            merged[key] = combined(values) if values else None
        return merged


def _get(address: str, path: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(address, timeout=ANSWER_S)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(MOST_BYTES).decode()


def read_samples(exposition: str) -> Samples:
    """Those of beatgan, by name and labels. Raises ValueError where it is not Prometheus' text."""
    samples: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for line in exposition.splitlines():
        if found := _SAMPLE.fullmatch(line):
            labels = tuple(_LABEL.findall(found[2] or ""))
            samples.setdefault(found[1], {})[labels] = float(found[3])
    return samples


def _total(answer: _Answer, name: str) -> float:
    return sum(answer.samples.get(name, {}).values())


def _rates(first: _Answer, last: _Answer) -> dict[str, Any]:
    def grown(name: str) -> float:
        return _total(last, name) - _total(first, name)

    seconds = last.at - first.at
    beats = grown("beatgan_beats_scored_total") + grown("beatgan_beats_unscored_total")
    received, lost = grown("beatgan_samples_received_total"), grown("beatgan_samples_lost_total")
    p99 = quantile(0.99, _buckets(first), _buckets(last))
    return {
        "over_the_last_s": round(seconds),
        "beats_per_s": round(beats / seconds, 1),
        "samples_lost_share": round(lost / (received + lost), 6) if received + lost else None,
        "latency_p99_ms": None if p99 is None else round(1_000 * p99, 1),
    }


def _buckets(answer: _Answer) -> dict[float, float]:
    found = answer.samples.get(LATENCY, {})
    return {float(dict(labels)["le"]): count for labels, count in found.items()}


def quantile(q: float, before: Mapping[float, float], after: Mapping[float, float]) -> float | None:
    """Of what a histogram counted between two moments, as Prometheus reckons it.

    ``before``, ``after``: counts up to each bound. None where nothing was counted.
    """
    bounds = sorted(after)
    counts = [after[bound] - before.get(bound, 0.0) for bound in bounds]
    if not counts or counts[-1] <= 0:
        return None
    rank, low, below = q * counts[-1], 0.0, 0.0
    for bound, count in zip(bounds, counts, strict=True):
        if count >= rank:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return low
