"""Where frames go when several daemons share the streams: to whoever asks for their bucket."""

from collections.abc import Sequence
from time import sleep
from typing import Self

import zmq

from beatgan.protocol.names import stream_of_topic
from beatgan_daemon import zmq_endpoints
from beatgan_daemon.clients.frame_output import END_S, LINGER_S, DaemonOutput
from beatgan_daemon.clients.shards import ShardDirectory
from beatgan_daemon.security.curve import ConfigureSocket

STEP_S = 0.02


class ShardsOutput:
    """A `FrameOutput` with a socket for each shard, so that none waits for another.

    A frame is taken when the shard that has its stream takes it. Others that ask for it get it,
    too: while a bucket moves, who will have it. What comes while a shard is away is for them alone.
    """

    def __init__(self, directory: ShardDirectory, configure: ConfigureSocket | None) -> None:
        """Nobody need be there yet."""
        self._directory, self._configure = directory, configure
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._outputs: dict[str, tuple[str, DaemonOutput]] = {}  # by shard, with its endpoint
        self._reconnects = self._users = 0

    def shared(self) -> Self:
        """For one more user; it is closed by the last."""
        self._users += 1
        return self

    @property
    def connected(self) -> bool:
        """See `FrameOutput`."""
        return any(each.connected for _, each in self._outputs.values())

    @property
    def reconnects(self) -> int:
        """See `FrameOutput`."""
        return self._reconnects + sum(each.reconnects for _, each in self._outputs.values())

    def send(self, parts: Sequence[bytes]) -> bool:
        """See `FrameOutput`."""
        self._follow()
        taken = {name: each.send(parts) for name, (_, each) in self._outputs.items()}
        shard = self._directory.shards.shard_of(stream_of_topic(parts[0]) or "")
        if shard not in taken or self._outputs[shard][1].away:
            return any(taken.values())
        return taken[shard]

    def wants(self, stream: str) -> bool:
        """See `FrameOutput`."""
        self._follow()
        return any(each.wants(stream) for _, each in self._outputs.values())

    def wait(self, seconds: float) -> bool:
        """See `FrameOutput`."""
        if not self._wanted():
            sleep(min(seconds, STEP_S))
        return self._wanted()

    def _wanted(self) -> bool:
        self._follow()
        return any(each.wait(0.0) for _, each in self._outputs.values())

    def _follow(self) -> None:
        """Whoever is there now, where it is now."""
        daemons = self._directory.daemons
        for name, (endpoint, output) in [*self._outputs.items()]:
            if name not in daemons or daemons[name].ingest != endpoint:
                del self._outputs[name]
                self._reconnects += output.reconnects + 1
                output.close()
        for name in daemons.keys() - self._outputs.keys():
            ingest = daemons[name].ingest
            if ingest is not None:
                self._outputs[name] = ingest, self._output(ingest)

    def _output(self, endpoint: str) -> DaemonOutput:
        return DaemonOutput(connect=endpoint, configure=self._configure, context=self._context)

    def close(self) -> None:
        """See `FrameOutput`."""
        self._users -= 1
        if self._users > 0:
            return
        for _, each in self._outputs.values():
            each.close()
        zmq_endpoints.terminate(self._context, LINGER_S + END_S)
