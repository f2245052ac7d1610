"""Keeps the ECG round each alarm: 10 s before its onset and 20 s behind it, exactly as it came.

The disk has a thread of its own: whatever it does, the page goes on. What cannot be stored is lost,
counted, and told once.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from math import inf
from typing import Any, Final

import msgspec

from beatgan_daemon import log
from beatgan_daemon.clients.strip_frames import Frame, join, read_stored_strip, write_frames
from beatgan_daemon.storage.disk_thread import DiskThread
from beatgan_daemon.storage.strip_store import Kept, StoredStrip, StripStore
from beatgan_daemon.web.beats import SHOWN
from beatgan_daemon.web.kept_strip import Beat, KeptStrip
from beatgan_daemon.web.recent_beats import RecentBeats
from beatgan_daemon.web.recent_frames import RecentFrames

BEFORE_S: Final = 10.0
AFTER_S: Final = 20.0
PATIENCE_S: Final = 3.0  # with what is late
CHECK_S: Final = 0.5
PRUNE_S: Final = 3_600.0
DISK_S: Final = 2.0
MOST_WAITING: Final = 64  # strips for the disk
MOST_PENDING: Final = 4_096  # strips under way
LOST_KNOWN: Final = 1_000  # of which it is known why they were not stored

NO_FRAMES: Final = "no ECG of this stream came from the tap"
ENDED: Final = "ends early: the page's server ended"
NOT_HEARD: Final = (
    "no strip is stored: the alarm was raised while no page's server kept strips, or its strip was "
    "given up for its age or the size"
)


@dataclass(frozen=True, slots=True)
class _Pending:
    id: str
    stream: str
    epoch: int
    onset: int
    heard: float

    def window(self, fs: float) -> tuple[int, int]:
        return self.onset - round(BEFORE_S * fs), self.onset + round(AFTER_S * fs)


class Scribe:
    """Used by the event loop alone; ``frames`` and ``beats`` are what it keeps of the present."""

    def __init__(self, store: StripStore) -> None:
        self._store, self._disk = store, DiskThread("strips")
        self.frames, self.beats = RecentFrames(), RecentBeats()
        self._pending: dict[str, _Pending] = {}
        self._waiting: dict[str, Future[Kept]] = {}
        self._lost: dict[str, str] = {}  # why, by alarm
        self._checked = self._pruned = -inf
        self._kept: Kept | None = None
        self._trouble = ""
        self.stored = self.lost = 0

    # --- what is stored -----------------------------------------------------------------------

    def alert(self, alert: dict[str, Any], now: float) -> None:
        """One new alert: a strip begins with each alarm of a stream."""
        if alert["phase"] != "start" or not alert["stream"]:
            return
        if len(self._pending) >= MOST_PENDING:
            self._lose(alert["id"], "too many alarms at a time")
            return
        self._pending[alert["id"]] = _Pending(
            alert["id"], alert["stream"], alert["epoch"], alert["onset_sample"], now
        )

    def tick(self, now: float) -> None:
        """Store what is complete, or will not become so; to be called often."""
        if now - self._checked < CHECK_S:
            return
        self._checked = now
        self._settle()
        for pending in [each for each in self._pending.values() if self._is_over(each, now)]:
            self._finish(pending, "ends early: no more of the signal came")
        if now - self._pruned > PRUNE_S and "" not in self._waiting:
            self._pruned = now
            self._waiting[""] = self._disk.submit(self._store.prune)

    def _is_over(self, pending: _Pending, now: float) -> bool:
        if now - pending.heard > AFTER_S + PATIENCE_S:
            return True
        fs = self.frames.rate(pending.stream, pending.epoch)
        if fs is None:
            return False
        end = pending.window(fs)[1]
        return self.frames.has(pending.stream, pending.epoch, end, now, PATIENCE_S)

    def _finish(self, pending: _Pending, why_short: str) -> None:
        del self._pending[pending.id]
        if len(self._waiting) >= MOST_WAITING:
            self._lose(pending.id, "the disk is too slow")
            return
        frames, fs = self.frames.of(pending.stream), self._rate(pending)
        begin, end = pending.window(fs)
        beats = self.beats.within(pending.stream, pending.epoch, begin, end)

        def store() -> Kept:
            return self._store.write(_stored(pending, frames, beats, (begin, end), why_short))

        self._waiting[pending.id] = self._disk.submit(store)

    def _rate(self, pending: _Pending) -> float:
        return self.frames.rate(pending.stream, pending.epoch) or 1.0

    def _settle(self) -> None:
        for episode, future in [*self._waiting.items()]:
            if not future.done():
                return  # one after another
            del self._waiting[episode]
            error = future.exception()
            if error is None:
                self._kept = future.result()
                if episode:
                    self._stored()
            elif not isinstance(error, sqlite3.Error | OSError):
                raise error
            elif episode:
                self._lose(episode, str(error))
            else:
                self._complain(str(error))

    def _stored(self) -> None:
        self.stored += 1
        if self._trouble:
            log.get().warning("strips are stored again", lost=self.lost)
            self._trouble = ""

    def _lose(self, episode: str, why: str) -> None:
        self.lost += 1
        self._lost[episode] = why
        if len(self._lost) > LOST_KNOWN:
            del self._lost[next(iter(self._lost))]
        self._complain(why)

    def _complain(self, why: str) -> None:
        """Once, until it is well again."""
        if not self._trouble:
            log.get().warning("strips cannot be stored", why=why)
        self._trouble = why

    def close(self) -> None:
        """Store what there is of strips under way, for DISK_S at most."""
        for pending in [*self._pending.values()]:
            self._finish(pending, ENDED)
        last = self._disk.submit(self._store.close)
        wait([last], DISK_S)
        self._settle()
        self._disk.close()
        if self._waiting:
            log.get().warning("strips are lost", why="the disk is too slow", n=len(self._waiting))

    # --- what is read -------------------------------------------------------------------------

    async def strip(self, episode: str) -> KeptStrip | str:
        """The strip of an alarm, or why there is none."""
        if pending := self._pending.get(episode):
            return await asyncio.to_thread(self._so_far(pending))
        future = self._disk.submit(lambda: self._read(episode))
        try:
            async with asyncio.timeout(DISK_S):
                found = await asyncio.wrap_future(future)
        except TimeoutError:
            return "the disk with the strips does not answer"
        except (sqlite3.Error, OSError) as error:
            return f"the strips cannot be read: {error}"
        if found is not None:
            return found
        if why := self._lost.get(episode):
            return f"its strip could not be stored: {why}"
        return NOT_HEARD

    def _read(self, episode: str) -> KeptStrip | str | None:
        stored = self._store.read(episode)
        return None if stored is None else _kept(stored)

    def _so_far(self, pending: _Pending) -> Callable[[], KeptStrip | str]:
        frames, window = self.frames.of(pending.stream), pending.window(self._rate(pending))
        beats = self.beats.within(pending.stream, pending.epoch, *window)
        return lambda: _kept(_stored(pending, frames, beats, window, "still being recorded"))

    def figures(self) -> dict[str, Any]:
        """For the health view."""
        return {
            "strips": None if self._kept is None else self._kept.strips,
            "mb": None if self._kept is None else round(self._kept.bytes / 2**20, 1),
            "being_recorded": len(self._pending),
            "stored": self.stored,
            "lost": self.lost,
            "trouble": self._trouble or None,
            "recent_mb": round(self.frames.bytes / 2**20, 1),
            "frames_let_go_early": self.frames.early,
        }


def _stored(
    pending: _Pending, frames: list[Frame], beats: bytes, window: tuple[int, int], why_short: str
) -> StoredStrip:
    begin, end = window
    strip = join(frames, pending.epoch, begin, end, pending.onset)
    place = pending.id, pending.stream, pending.epoch, pending.onset, begin, end
    if strip is None:
        return StoredStrip(*place, NO_FRAMES, b"", b"")
    notes = ["begins late: nothing of before had been kept"] if strip.first > max(begin, 0) else []
    notes += [why_short] if strip.end < end else []
    used = [each for each in frames if join([each], pending.epoch, begin, end, pending.onset)]
    return StoredStrip(*place, "; ".join(notes), write_frames(used), beats)


def _kept(stored: StoredStrip) -> KeptStrip | str:
    strip = read_stored_strip(stored)
    if strip is None:
        return stored.note
    beats: list[Beat] = [
        {key: beat[key] for key in SHOWN if key in beat}
        for beat in map(msgspec.json.decode, stored.beats.splitlines())
    ]
    return KeptStrip(strip, beats, stored.note)
