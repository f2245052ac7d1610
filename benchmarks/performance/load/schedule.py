"""Who sends what when: the schedule of a load run, agreed between its processes through a folder.

Numbers only; opens no socket and knows no daemon.
"""

from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from beatgan.errors import UsageError
from beatgan.types import Bools, Ints

SECOND = 1_000_000_000  # ns
NAMES = ("MLII", "V5", "V2", "I", "V1", "II", "III", "aVR", "aVL", "aVF", "V3", "V4", "V6")
SCALE = 0.005  # millivolt a unit: that of MIT-BIH's recorders
Samples = NDArray[np.int16]


class Schedule(msgspec.Struct, frozen=True):
    """Each stream sends one frame of ``frame`` samples an interval, from interval ``starts[s]`` to
    before ``stops[s]``. Stream s sends in every interval at the share s / streams of it, so that
    streams are spread evenly.

    ``speed``: times real time. ``first``: the number of the first stream, whose name is s and that.
    ``buckets``: frames go under topics with their bucket, to shards. ``left_out``: one in so many
    frames is lost on the way, as it were; never a stream's first or last. ``lossy``: a full queue
    drops frames, uncounted, instead of refusing them: a dead shard's must not hold up the others.
    """

    frame: int
    fs: float
    leads: tuple[str, ...]
    connections: int
    starts: list[int]
    stops: list[int]
    speed: float = 1.0
    first: int = 0
    buckets: bool = False
    left_out: int | None = None
    lossy: bool = False

    @property
    def streams(self) -> int:
        """How many there are, all together."""
        return len(self.starts)

    @property
    def intervals(self) -> int:
        """How many there are until the last stream has stopped."""
        return max(self.stops)

    @property
    def step_ns(self) -> int:
        """Length of an interval."""
        return round(self.frame * SECOND / self.fs / self.speed)

    @property
    def queue(self) -> int:
        """Frames that a source holds for a daemon that does not take them: two seconds' worth."""
        frames = self.streams * self.fs * self.speed / self.frame / self.connections
        return max(1000, round(2 * frames))

    @property
    def names(self) -> list[str]:
        """What the streams are called."""
        return [f"s{self.first + stream}" for stream in range(self.streams)]

    def sends(self) -> Bools:
        """Which stream sends a frame in which interval, (intervals, streams)."""
        interval = np.arange(self.intervals)[:, np.newaxis]
        starts, last = np.array(self.starts), np.array(self.stops) - 1
        sent = (starts <= interval) & (interval <= last)
        if self.left_out:
            chosen = (interval + 31 * np.arange(self.streams)) % self.left_out == 0
            sent &= ~(chosen & (starts < interval) & (interval < last))
        return sent

    @property
    def phases(self) -> list[int]:
        """When in an interval each stream's frame is due, ns: when its last sample is taken."""
        return [stream * self.step_ns // self.streams for stream in range(self.streams)]


def frame_size(fs: float, frames: int) -> int:
    """Samples of a frame where there are ``frames`` a second; raises UsageError if not whole."""
    size = Fraction(fs) / frames
    if size.denominator != 1:
        raise UsageError(f"--frames {frames}: {fs:g} samples a second do not divide into them")
    return int(size)


def lead_names(count: int) -> tuple[str, ...]:
    """The names of so many leads; raises UsageError where there are none or too many."""
    if not 1 <= count <= len(NAMES):
        raise UsageError(f"--leads: expected 1 to {len(NAMES)}, got {count}")
    return NAMES[:count]


def admitted(streams: int, over: int, first: int = 0) -> list[int]:
    """The interval with which each stream begins: from ``first`` on over so many, in no order."""
    order = np.random.default_rng(0).permutation(streams)
    starts: list[int] = (first + order * max(over, 0) // streams).tolist()
    return starts


def write(folder: Path, plan: Schedule, recordings: list[Samples]) -> None:
    """Leave plan and material for the other processes."""
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    np.savez(folder / "material.npz", *recordings)


def read(folder: Path) -> Schedule:
    """The plan that `write` left."""
    return msgspec.json.decode((folder / "plan.json").read_bytes(), type=Schedule)


def material(folder: Path) -> list[Samples]:
    """The recordings that `write` left, each (n, leads), little-endian units of SCALE millivolt."""
    with np.load(folder / "material.npz") as held:
        return [held[name] for name in held.files]


def as_sent(samples: NDArray[np.float32], leads: int) -> Samples:
    """A recording's first lead in millivolt, (n,), as a device with so many leads would send it.

    The other leads are the same ECG, smaller by a tenth each and a few samples later.
    """
    units = np.rint(np.nan_to_num(samples) / SCALE)
    columns = [np.roll(units, 2 * lead) * 0.9**lead for lead in range(leads)]
    bounded = np.clip(np.rint(np.stack(columns, axis=1)), -32_767, 32_767)
    return np.asarray(bounded, np.int16)


def frame_of(sample: Ints, needed: int, plan: Schedule) -> Ints:
    """Which of its stream's frames brings the last sample that the beat at ``sample`` needs.

    ``needed``: how many samples must have arrived, less the beat's own index.
    """
    return np.asarray((sample + needed - 1) // plan.frame, np.int64)
