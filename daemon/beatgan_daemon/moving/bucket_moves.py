"""The map followed while the daemon runs: in the pipeline's thread, a little at a time, so that no
other stream waits."""

from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Final

from beatgan.protocol.buckets import bucket_of
from beatgan.protocol.names import stream_of_topic
from beatgan_daemon import log
from beatgan_daemon.ingest.fair_queue import Frame
from beatgan_daemon.moving.arrivals import Arrivals
from beatgan_daemon.moving.departures import Departures
from beatgan_daemon.moving.held_frames import HeldFrames
from beatgan_daemon.moving.shared_directory import LOOK_S, SharedDirectory
from beatgan_daemon.sharding.ownership import Ownership
from beatgan_daemon.sharding.predecessor import Found
from beatgan_daemon.sharding.shard_map import ShardMap
from beatgan_daemon.sockets.ingest_socket import IngestSocket

STEP_S: Final = 0.02  # while buckets move: how soon the next step is taken
ASKED_AT_ONCE: Final = 16  # buckets whose state is asked for at a time: it is in memory then
RELEASED_AT_ONCE: Final = 4  # buckets let go at a time: nobody serves them for a moment
LATE_S: Final = 5.0  # a bucket that is waited for longer makes the daemon unready


class BucketMoves:
    """Used by one thread."""

    def __init__(
        self,
        ownership: Ownership,
        directory: SharedDirectory,
        source: IngestSocket,
        frames: HeldFrames,
        departures: Departures,
        arrivals: Arrivals,
    ) -> None:
        self._own, self.directory, self._source = ownership, directory, source
        self._frames, self._departures, self._arrivals = frames, departures, arrivals
        self._deaf: dict[int, float] = {}  # buckets no longer listened to, and since when
        self._ready: deque[tuple[int, Found]] = deque()

    def wait_s(self) -> float:
        """Seconds after which `step` may have something to do."""
        if self._ready:
            return 0.0
        busy = self._own.leaving or self._own.awaited or self.directory.busy()
        return STEP_S if busy else LOOK_S

    def unready(self) -> str | None:
        """Why patients of this shard are not watched; None where they are. Any thread may ask."""
        waited = self._own.longest_wait(monotonic())
        if waited < LATE_S:
            return None
        return f"{len(self._own.awaited)} buckets wait for their state, {waited:.0f} s now"

    def holds(self, frame: Frame) -> bool:
        """Whether a frame is held until its bucket's state is here; `step` gives it back."""
        if not self._own.awaited:
            return False
        stream = stream_of_topic(frame.parts[0])
        if stream is None or not self._own.awaits(bucket := bucket_of(stream)):
            return False
        self._frames.add(bucket, frame)
        return True

    def step(self, now: float) -> Sequence[Frame]:
        """Go on with what is under way; frames that were held and are to be received now."""
        self.directory.step(now)
        self._departures.step()
        self._arrivals.step(self._own.held)
        if (shard_map := self.directory.changed_map(now)) is not None:
            self._follow(shard_map, now)
        self._let_go(now)
        self._ask(now)
        return self._take_over(now)

    def _follow(self, shard_map: ShardMap, now: float) -> None:
        own = self._own
        if (bucket := shard_map.first_earlier(own.map)) is not None:
            text = f"the map as it was goes on: bucket {bucket:02x} has a lower fence than before"
            self.directory.report(text)
            return
        own.replace_map(shard_map, now)
        self._deaf = {b: since for b, since in self._deaf.items() if b in own.leaving}
        self._frames.keep(own.awaited)
        self._listen()
        log.get().info(
            "map", buckets=len(own.held), leaving=len(own.leaving), awaited=len(own.awaited)
        )

    def _listen(self) -> None:
        deaf = {bucket for bucket in self._deaf if not self._own.awaits(bucket)}
        self._source.serve(frozenset(self._own.heard() - deaf))

    def _let_go(self, now: float) -> None:
        """Listen no more to some that are due, and release those of which all that had come is
        read. The others are served meanwhile."""
        own = self._own
        for bucket, since in [*self._deaf.items()]:
            if self._departures.all_read(since, now):
                self._departures.release(bucket, own.held[bucket], now)
                own.released(bucket)
                del self._deaf[bucket]
                self._listen()
        if not self._deaf and (due := own.due(now)[:RELEASED_AT_ONCE]):
            self._deaf = dict.fromkeys(due, now)
            self._listen()

    def _ask(self, now: float) -> None:
        """For what was left of some of the buckets that are waited for."""
        wanted = {} if self._ready else self._own.wanted(now)
        some = dict([*wanted.items()][:ASKED_AT_ONCE])
        self._ready.extend(self.directory.find(self._own.map, some, now).items())

    def _take_over(self, now: float) -> Sequence[Frame]:
        """Go on with one bucket; its frames that were held."""
        while self._ready:
            bucket, (fence, left, heard_until) = self._ready.popleft()
            if self._own.taken(bucket, fence):
                self._arrivals.go_on(bucket, fence, left, now)
                if not self._own.awaited:
                    log.get().info("no bucket is waited for", buckets=len(self._own.held))
                frames = self._frames.take(bucket)
                return [each for each in frames if each.arrived > heard_until]
        return ()
