"""The streams as the page lists them: each with a number that stays, its state and its age."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from beatgan.protocol.control import StreamEntry
from beatgan.protocol.messages import Totals

ENDED_S: Final = 3_600.0  # a stream that is gone stays in the list for as long
MOST: Final = 65_535
STATES: Final = {"watched": "ok", "silent": "silent", "shed": "shed"}


class _Status(msgspec.Struct):
    stream: str
    totals: Totals


_read_status = msgspec.json.Decoder(_Status).decode


class Streams:
    """By name."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}
        self._known: dict[str, dict[str, Any]] = {}
        self._received: dict[str, float] = {}  # by this machine's clock, s
        self._free: list[int] = []
        self.entries: dict[str, StreamEntry] = {}  # as the daemon listed them last
        self.totals: dict[str, Totals] = {}  # as its status messages told

    def status(self, body: bytes) -> None:
        """One status message. Raises msgspec.MsgspecError where it is none."""
        status = _read_status(body)
        self.totals[status.stream] = status.totals

    def update(self, entries: Iterable[StreamEntry], clock_s: float) -> None:
        """The daemon's own list; ``clock_s``: UNIX time."""
        self.entries = {entry.stream: entry for entry in entries}
        for entry in self.entries.values():
            if entry.stream not in self._index and not self._number(entry.stream):
                continue
            if entry.received_ns is not None:
                self._received[entry.stream] = entry.received_ns / 1e9
            self._known[entry.stream] = {
                "i": self._index[entry.stream],
                "stream": entry.stream,
                "epoch": str(entry.epoch),
                "leads": list(entry.leads),
                "fs": entry.fs,
                "state": STATES[entry.state],
            }
        for stream in self.totals.keys() - self.entries.keys():
            del self.totals[stream]
        for stream in self._known.keys() - self.entries.keys():
            self._known[stream]["state"] = "ended"
            if clock_s - self._received.get(stream, 0.0) > ENDED_S:
                del self._known[stream]
                self._received.pop(stream, None)
                self._free.append(self._index.pop(stream))

    def _number(self, stream: str) -> bool:
        if not self._free and len(self._index) >= MOST:
            return False
        self._index[stream] = self._free.pop(0) if self._free else len(self._index)
        return True

    def listed(self, clock_s: float) -> list[dict[str, Any]]:
        """All of them, by name."""
        return [
            {**self._known[name], "age_s": self._age(name, clock_s)} for name in sorted(self._known)
        ]

    def _age(self, stream: str, clock_s: float) -> float | None:
        received = self._received.get(stream)
        return None if received is None else max(0.0, round(clock_s - received, 1))
