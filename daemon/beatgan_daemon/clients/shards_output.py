"""Where frames go when several daemons share the streams: to whoever asks for their bucket."""

from collections.abc import Sequence
from time import sleep
from typing import Self

import zmq

from beatgan.protocol.buckets import bucket_of
from beatgan.protocol.names import stream_of_topic
from beatgan_daemon import zmq_endpoints
from beatgan_daemon.clients.frame_output import END_S, LINGER_S, DaemonOutput
from beatgan_daemon.clients.shards import ShardDirectory
from beatgan_daemon.security.curve import ConfigureSocket

STEP_S = 0.02


class ShardsOutput:
    """A `FrameOutput` with a socket for each shard, so that none waits for another.

    While a bucket moves two shards ask for it, and both get its frames.
    """

    def __init__(self, directory: ShardDirectory, configure: ConfigureSocket | None) -> None:
        """Nobody need be there yet."""
        self._directory, self._configure = directory, configure
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._outputs: dict[str, DaemonOutput] = {}  # by endpoint
        self._reconnects = 0
        self._users = 0

    def shared(self) -> Self:
        """For one more user; it is closed by the last."""
        self._users += 1
        return self

    @property
    def connected(self) -> bool:
        """See `FrameOutput`."""
        return any(each.connected for each in self._outputs.values())

    @property
    def reconnects(self) -> int:
        """See `FrameOutput`."""
        return self._reconnects + sum(each.reconnects for each in self._outputs.values())

    def send(self, parts: Sequence[bytes]) -> bool:
        """See `FrameOutput`."""
        self._follow()
        bucket = bucket_of(stream_of_topic(parts[0]) or "")
        taken = [each.send(parts) for each in self._outputs.values() if each.takes(bucket)]
        return any(taken)

    def wants(self, stream: str) -> bool:
        """See `FrameOutput`."""
        self._follow()
        return any(each.takes(bucket_of(stream)) for each in self._outputs.values())

    def wait(self, seconds: float) -> bool:
        """See `FrameOutput`."""
        if not self._wanted():
            sleep(min(seconds, STEP_S))
        return self._wanted()

    def _wanted(self) -> bool:
        self._follow()
        return any(each.wait(0.0) for each in self._outputs.values())

    def _follow(self) -> None:
        """Whoever is there now, where it is now."""
        daemons = self._directory.shards.daemons.values()
        wanted = {each.ingest for each in daemons if each.ingest is not None}
        for endpoint in self._outputs.keys() - wanted:
            gone = self._outputs.pop(endpoint)
            self._reconnects += gone.reconnects + 1
            gone.close()
        for endpoint in wanted - self._outputs.keys():
            self._outputs[endpoint] = DaemonOutput(
                connect=endpoint, configure=self._configure, context=self._context
            )

    def close(self) -> None:
        """See `FrameOutput`."""
        self._users -= 1
        if self._users > 0:
            return
        for each in self._outputs.values():
            each.close()
        zmq_endpoints.terminate(self._context, LINGER_S + END_S)
