"""One LSL stream: pulled whole, counted, its gaps found, its samples in millivolt at UNIX times."""

from time import time, time_ns
from typing import Any, Final

import numpy as np

from beatgan.errors import StreamError
from beatgan.types import Chunk
from beatgan_daemon import log
from beatgan_daemon.bridges.lsl.clock import StreamClock
from beatgan_daemon.bridges.lsl.description import Description
from beatgan_daemon.bridges.lsl.library import pylsl
from beatgan_daemon.bridges.lsl.stamps import GapFinder, Piece
from beatgan_daemon.clients.counted_stream import CountedStream

BUFFER_S: Final = 10  # in the inlet; what a bridge that stalls for longer misses is a gap
AT_ONCE: Final = 4_096  # samples pulled in one call
WRONG_RATE: Final = 0.005  # of the rate that is stated
CORRECTION_S: Final = 1.0  # to wait for a measurement of the source's clock


class LslSource:
    """Goes on over a source that is lost and found again; used by one thread."""

    def __init__(self, inlet: Any, description: Description) -> None:
        self.description = description
        self.steps = 0  # of its clock
        self._lsl = pylsl()
        self._counted = CountedStream(
            description.stream, description.fs, description.leads, time_ns()
        )
        self._finder = GapFinder(description.fs)
        self._told_rate = False
        self.open(inlet)

    def open(self, inlet: Any) -> None:
        """The stream, found again: its count goes on."""
        self._inlet = inlet
        self._clock = StreamClock(self._correction, self._unix, self._lsl.local_clock())

    def _correction(self) -> float | None:
        try:
            return float(self._inlet.time_correction(CORRECTION_S))
        except (self._lsl.util.TimeoutError, self._lsl.util.LostError):
            return None

    def _unix(self) -> float:
        return time() - float(self._lsl.local_clock())

    def pull(self) -> list[Chunk]:
        """What has come.

        Raises StreamError where its rate is not what it says, or it has no times, and pylsl's
        LostError where the source is gone and cannot be found again by itself.
        """
        now = self._lsl.local_clock()
        self._clock.update(now, reset=bool(self._inlet.was_clock_reset()))
        if not self._clock.known:
            return []
        pieces: list[Piece] = []
        while True:
            samples, stamps = self._inlet.pull_chunk(0.0, AT_ONCE, as_numpy=True)
            local = np.asarray(stamps, np.float64) + self._clock.correction(now)
            if not np.isfinite(local).all():
                raise StreamError("time", f"{self.description.stream}: a time stamp is no number")
            pieces += self._finder.push(self.description.millivolt(samples), local, now)
            if len(stamps) < AT_ONCE:
                break
        self._check_rate()
        return [chunk for piece in pieces for chunk in self._chunks(piece, now)]

    def _chunks(self, piece: Piece, now: float) -> list[Chunk]:
        if piece.lost:
            self._counted.skip(piece.lost)
            log.get().warning("samples lost", stream=self.description.stream, samples=piece.lost)
        self.steps += piece.stepped
        return self._counted.chunks(piece.samples, self._clock.unix_ns(piece.stamp, now))

    def _check_rate(self) -> None:
        rate = self._finder.rate
        if rate is None:
            return
        stream, fs = self.description.stream, self.description.fs
        if not self._told_rate:
            log.get().info("true rate", stream=stream, fs=fs, measured=round(rate, 4))
            self._told_rate = True
        if abs(rate / fs - 1) > WRONG_RATE:
            raise StreamError(
                "rate",
                f"{stream}: {rate:.2f} samples a second come, not {fs:g}: {rate / fs - 1:+.1%}; "
                f"give --fs {rate:.1f}",
            )
