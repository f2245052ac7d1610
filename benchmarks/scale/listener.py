"""Who listens to all shards, in a process of its own: writes down each message and when it came.

python -m benchmarks.scale.listener FILE ENDPOINT...
"""

import gc
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import zmq

from beatgan_daemon.signals import stop_signals

POLL_MS = 100  # how soon a signal to stop is seen
DRAINED_MS = 500  # without a message after that signal: all has come
HEAD = struct.Struct("<qHI")  # monotonic ns, which endpoint, bytes of JSON that follow
TOPICS = (b"beat.", b"alert.", b"status.")


class ListenerReport(msgspec.Struct, frozen=True):
    """What it says at its end. ``behind_ms``: the longest that its queue had something."""

    messages: int
    behind_ms: float
    cpu_share: float


class Heard(NamedTuple):
    """One message: when it came, in monotonic ns, from which endpoint, its JSON."""

    at: int
    endpoint: int
    body: bytes


def read(path: Path) -> Iterator[Heard]:
    """What a listener wrote down, in the order in which it came."""
    content, place = path.read_bytes(), 0
    while place < len(content):
        at, endpoint, size = HEAD.unpack_from(content, place)
        place += HEAD.size + size
        yield Heard(at, endpoint, content[place - size : place])


def run(path: Path, endpoints: Sequence[str]) -> ListenerReport:
    """Say on one line that all is subscribed to, then listen until SIGTERM."""
    gc.disable()
    messages, behind, clock = 0, 0, time.monotonic_ns
    with zmq.Context() as context, path.open("wb") as file, stop_signals() as stopping:
        poller, numbers = zmq.Poller(), {}
        for number, endpoint in enumerate(endpoints):
            socket = context.socket(zmq.SUB)
            socket.rcvhwm, socket.linger, socket.reconnect_ivl = 0, 0, 20
            for topic in TOPICS:
                socket.subscribe(topic)
            socket.connect(endpoint)
            poller.register(socket, zmq.POLLIN)
            numbers[socket] = number
        time.sleep(1.0)  # for the subscriptions to arrive
        print("ready", flush=True)
        wall, cpu = time.monotonic(), time.process_time()
        while True:
            ending = stopping()
            found = poller.poll(DRAINED_MS if ending else POLL_MS)
            if ending and not found:
                break
            began = clock()
            for socket, _ in found:
                number = numbers[socket]
                while True:
                    try:
                        socket.recv(zmq.NOBLOCK)  # the topic
                    except zmq.Again:
                        break
                    body = socket.recv()
                    file.write(HEAD.pack(clock(), number, len(body)))
                    file.write(body)
                    messages += 1
            behind = max(behind, clock() - began)
        share = (time.process_time() - cpu) / (time.monotonic() - wall)
        for socket in numbers:
            socket.close()
    return ListenerReport(messages, behind / 1e6, share)


if __name__ == "__main__":
    print(msgspec.json.encode(run(Path(sys.argv[1]), sys.argv[2:])).decode())
