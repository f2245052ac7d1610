"""ECG on its way in: every sample that a source counted goes out or is counted as lost.

Knows the sample counts of the streams; whence chunks come and where frames go is said by others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from beatgan.errors import StreamError
from beatgan.protocol.frame_header import FrameExtent, check_frame
from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk
from beatgan_daemon import log
from beatgan_daemon.bridges.counts import SignalCount
from beatgan_daemon.clients.frame_output import FrameOutput

MAX_STREAMS: Final = 10_000  # names are the senders' to choose


@dataclass(slots=True)
class _Heard:
    epoch: int
    next: int  # the first sample that has not come


class SignalIn:
    """Sends chunks as frames, and counts; used by one thread."""

    def __init__(self, output: FrameOutput) -> None:
        """``output`` is closed by `close`."""
        self.count = SignalCount()
        self._output = output
        self._streams: dict[str, _Heard] = {}
        self._while_away = 0  # samples queued for a daemon that is not connected
        self._refusals = log.Rejections(log.get(), event="messages refused")

    def forward(self, chunk: Chunk) -> None:
        """Send a chunk as a frame. Raises StreamError as below."""
        self.pass_on(encode_frame(chunk))

    def pass_on(self, parts: Sequence[bytes]) -> None:
        """Send a frame as it is.

        A ``first`` beyond what was expected is a gap; another ``epoch`` begins anew. Raises
        StreamError where the daemon would refuse the frame, or its stream is one too many.
        """
        new = self._count(check_frame(parts))
        sent = self._output.send(parts)
        if sent:
            self.count.frames += 1
            self.count.sent += new
        else:
            self.count.unsent += new
        self._while_away = 0 if self._output.connected else self._while_away + new * sent
        self.count.daemon_reconnects = self._output.reconnects

    def _count(self, extent: FrameExtent) -> int:
        """How many of its samples were not there before."""
        stream, epoch, first, size, *_ = extent
        known = self._streams.get(stream)
        if known is None and len(self._streams) >= MAX_STREAMS:
            raise StreamError("streams", f"{MAX_STREAMS} streams are known; no further one")
        if known is None or known.epoch != epoch:
            known = self._streams[stream] = _Heard(epoch, first)
            self.count.streams = len(self._streams)
        before = known.next
        known.next = max(before, first + size)
        self.count.counted += known.next - before
        self.count.missing += max(0, first - before)
        new = known.next - max(before, first) if known.next > before else 0
        self.count.repeated += size - new
        return new

    def refuse(self, error: StreamError, now: float) -> None:
        """A message is no ECG: count it, and log why, at a bounded rate; ``now``: monotonic s."""
        self.count.refused += 1
        self._refusals.add(error.reason, str(error), now)

    def close(self) -> None:
        """Send what waits. What no daemon is there to take counts as unsent."""
        self._output.close()
        if not self._output.connected:
            self.count.sent -= self._while_away
            self.count.unsent += self._while_away
        self._while_away = 0
