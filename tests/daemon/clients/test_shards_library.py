"""All shards in a program of one's own: who is sent what, what is heard, who is silent."""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
import zmq
from msgspec.structs import replace

import beatgan
from beatgan.errors import UsageError
from beatgan.protocol.buckets import bucket_of, bucket_prefix
from tests.support.alerting_daemon import AlertingDaemon
from tests.support.listening_daemon import ListeningDaemon
from tests.support.messages import alert_message
from tests.support.shared_directory import SharedDirectory

PATIENCE_S = 20.0
HALVES = [[bucket_prefix(b) for b in range(n, 256, 2)] for n in range(2)]


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[SharedDirectory]:
    with SharedDirectory(tmp_path, "a", "b") as directory:
        yield directory


def of_shard(shard: int) -> str:
    return next(f"bed-{k}" for k in range(99) if bucket_of(f"bed-{k}") % 2 == shard)


def test_each_stream_goes_to_the_shards_that_ask_for_its_bucket(shared: SharedDirectory) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(ListeningDaemon(topics=HALVES[0]))
        second = stack.enter_context(ListeningDaemon(topics=HALVES[1]))
        shared.run("a", ingest=first.endpoint)
        shared.run("b", ingest=second.endpoint)
        client = stack.enter_context(beatgan.Client.of_shards(shared.path))
        signals = {name: client.publish(name, 100) for name in (of_shard(0), of_shard(1))}
        for signal in signals.values():
            signal.push(np.zeros(10))
        assert first.wait_for(1)
        assert second.wait_for(1)
        assert bytes(second.frames[0][0]).startswith(b"ecg.%02x." % bucket_of(of_shard(1)))
        shared.run("a", ingest="tcp://127.0.0.1:9")  # it starts again elsewhere, as does the next
        elsewhere = stack.enter_context(ListeningDaemon(topics=HALVES[0]))
        shared.run("a", ingest=elsewhere.endpoint)
        end = monotonic() + PATIENCE_S
        while not elsewhere.frames and monotonic() < end:
            signals[of_shard(0)].push(np.zeros(10))
            sleep(0.1)
        assert elsewhere.frames
        signals[of_shard(0)].close()
        signals[of_shard(1)].push(np.zeros(10))  # one signal's end is not another's
        assert second.wait_for(2)
    assert {bytes(frame[0]).rpartition(b".")[2].decode() for frame in second.frames} == {
        of_shard(1)
    }


def test_heard_is_every_shard_and_an_old_fence_ignored(shared: SharedDirectory) -> None:
    bed = of_shard(0)
    with ExitStack() as stack:
        daemons = [stack.enter_context(AlertingDaemon()) for _ in range(2)]
        for name, daemon in zip(("a", "b"), daemons, strict=True):
            shared.run(name, publish=daemon.publish, control=daemon.control)
        client = stack.enter_context(beatgan.Client.of_shards(shared.path))
        heard: list[Any] = []
        listening = client.subscribe("alert", "status", seconds=PATIENCE_S)

        def listen() -> None:
            with suppress(zmq.ZMQError):  # closed at the end
                heard.extend(listening)

        Thread(target=listen, daemon=True).start()
        end = monotonic() + PATIENCE_S
        while client.silent and monotonic() < end:
            sleep(0.05)
        sleep(0.5)  # until it is subscribed

        def told(n: int, fence: int) -> None:
            message = replace(alert_message(n, stream=bed), fence=fence)
            daemons[fence - 1].alert(message)
            sleep(0.3)

        told(0, 1)
        told(0, 2)
        told(1, 1)
        told(1, 2)
        while len(heard) < 3 and monotonic() < end:
            sleep(0.05)
        assert [(each.fence, each.n) for each in heard] == [(1, 0), (2, 0), (2, 1)]
        assert client.ignored == 1
        shared.stop("b")
        while "b" not in client.silent and monotonic() < end:
            sleep(0.05)
        assert client.silent == {"b": "it is not running"}


def test_alerts_of_all_journals_and_where_to_go_on(shared: SharedDirectory) -> None:
    journal = [replace(alert_message(n, f"e{n}"), raised_ns=n) for n in range(3)]
    with ExitStack() as stack:
        for name in ("a", "b"):
            daemon = stack.enter_context(AlertingDaemon(journal))
            shared.run(name, publish=daemon.publish, control=daemon.control)
        client = stack.enter_context(beatgan.Client.of_shards(str(shared.path)))
        assert [each.n for each in client.alerts()] == [0, 0, 1, 1, 2, 2]
        assert client.position == {"a": 3, "b": 3}
        assert [each.n for each in client.alerts({"a": 2, "b": 3})] == [2]
        following = client.follow({"a": 2, "b": 2})
        assert [next(following).n, next(following).n] == [2, 2]
        daemon.alert(replace(alert_message(3, "e3"), raised_ns=3))
        assert next(following).n == 3
        assert client.position == {"a": 3, "b": 4}
        following.close()  # type: ignore[attr-defined]
        with pytest.raises(UsageError, match="a number for each shard"):
            next(client.alerts(7))
