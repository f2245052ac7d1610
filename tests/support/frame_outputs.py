"""A daemon that takes frames, without a socket."""

from collections.abc import Sequence

from beatgan.protocol.frame_decoder import decode_frame
from beatgan.types import Chunk


class KeptFrames:
    """A `FrameOutput` that keeps what it is sent, while ``takes`` says that it takes any."""

    def __init__(self) -> None:
        self.connected, self.takes, self.reconnects = True, True, 0
        self.frames: list[Sequence[bytes]] = []

    @property
    def chunks(self) -> list[Chunk]:
        """The frames, decoded."""
        return [*map(decode_frame, self.frames)]

    def send(self, parts: Sequence[bytes]) -> bool:
        """See `FrameOutput`, as the next three."""
        if self.takes:
            self.frames.append(parts)
        return self.takes

    def wants(self, _: str) -> bool:
        """Whether it takes any."""
        return self.takes

    def wait(self, _: float) -> bool:
        """Whether it takes any."""
        return self.takes

    def close(self) -> None:
        """Nothing waits."""
