"""Stream actions that a test looks at: what was asked for, and the streams that it puts there."""

from collections.abc import Sequence

from beatgan.protocol.control import StreamEntry


class RecordedActions:
    """See `protocol.control_answers.StreamActions`."""

    def __init__(self, *entries: StreamEntry) -> None:
        self.entries = {entry.stream: entry for entry in entries}
        self.acknowledged: list[tuple[str, str | None]] = []  # episode, by
        self.discharged: list[tuple[str, str | None]] = []  # stream, by

    def streams(self, after: str, most: int) -> list[StreamEntry]:
        return [self.entries[name] for name in sorted(self.entries) if name > after][:most]

    def stream(self, name: str) -> StreamEntry | None:
        return self.entries.get(name)

    def acknowledge(self, episodes: Sequence[str], by: str | None) -> None:
        self.acknowledged += [(episode, by) for episode in episodes]

    def discharge(self, stream: str, by: str | None) -> None:
        self.discharged.append((stream, by))


def entry(stream: str, **more: object) -> StreamEntry:
    """A stream as it is listed; ``more`` overrides."""
    values: dict[str, object] = {
        "state": "watched",
        "since_ns": 1_790_000_000 * 10**9,
        "epoch": 7,
        "fs": 360.0,
        "leads": ("II",),
        "last_sample": 719,
        "last_sample_ns": 1_790_000_002 * 10**9,
        "next_sample": 720,
        "received_ns": 1_790_000_003 * 10**9,
        "sender": None,
        "key": None,
    }
    return StreamEntry(stream=stream, **(values | more))  # type: ignore[arg-type]
