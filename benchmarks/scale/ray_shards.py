"""Shards under Ray on this machine: a head without CPUs, and a node of one CPU for each shard."""

import os
import secrets
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from beatgan.errors import BeatganError
from beatgan_daemon.clients.process import START_S
from beatgan_daemon.cluster import actors
from beatgan_daemon.cluster.ray_connection import MODE, connected
from beatgan_daemon.cluster.shard_supervisor import ShardOrder
from beatgan_daemon.sharding.coordinator import AFTER_S
from beatgan_daemon.sharding.registry import read_records
from beatgan_daemon.sharding.shard_map import ShardMap, write_map
from benchmarks.performance.load import processes
from benchmarks.scale.shards import NAMES, Shard, Shards

ANSWER_S = 30.0
LOOK_S = 0.1


class RayShards:
    """Actors that supervise shards, and the nodes that they are on."""

    def __init__(self, directory: Path, ray: Any, cluster: Any, settings: Sequence[str]) -> None:
        """``cluster``: of `ray.cluster_utils`; ``settings``: of each shard."""
        self.directory, self._ray, self._cluster = directory, ray, cluster
        self._settings = settings
        self._actors: dict[str, Any] = {}

    def add_node(self) -> None:
        """One more, with room for one shard."""
        self._cluster.add_node(num_cpus=1)

    def start(self, name: str, *settings: str) -> None:
        """Where it has ended by SIGKILL, its actor has started it again already."""
        if name not in self._actors:
            order = ShardOrder(
                *(str(self.directory), name, "127.0.0.1", None, (*self._settings, *settings))
            )
            self._actors[name] = actors.start_shard(self._ray, order, 1.0, 0.0)

    def ready(self) -> list[Shard]:
        """In the order of their starts."""
        end = time.monotonic() + START_S
        while True:
            states = [self._state(name) for name in self._actors]
            if all(placed is not None and placed.state.ready for placed in states):
                break
            if time.monotonic() > end:
                raise BeatganError(f"shards under Ray are not ready after {START_S:g} s: {states}")
            time.sleep(LOOK_S)
        records = {each.shard: each for each in read_records(self.directory)[0]}
        return [
            Shard(name, each.pid, each.ingest[0], each.publish, each.control, each.http)
            for name in self._actors
            for each in [records[name]]
        ]

    def stop(self, name: str) -> int:
        """For good: 0, as Ray does not tell the code."""
        actor = self._actors.pop(name)
        self._ray.get(actor.stop.remote(), timeout=ANSWER_S)
        self._ray.kill(actor)
        return 0

    def kill(self, name: str) -> None:
        """The daemon, not its actor."""
        pid = next(each.pid for each in read_records(self.directory)[0] if each.shard == name)
        os.kill(pid, signal.SIGKILL)

    def kill_node(self, name: str) -> None:
        """Every process of the node that the shard is on, its daemon too, by SIGKILL."""
        placed = self._state(name)
        if placed is None:
            raise BeatganError(f"{name} is nowhere")
        nodes = self._cluster.worker_nodes
        node = next(each for each in nodes if each.node_id == placed.place.node)
        for pid in _family(node):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._cluster.remove_node(node, allow_graceful=False)

    def pids(self) -> list[int]:
        """Of Ray's processes and all that they started, the shards too."""
        nodes = self._cluster.list_all_nodes()
        return [*dict.fromkeys(pid for node in nodes for pid in _family(node))]

    def _state(self, name: str) -> actors.PlacedShard | None:
        try:
            placed: actors.PlacedShard = self._ray.get(
                self._actors[name].state.remote(), timeout=ANSWER_S
            )
        except self._ray.exceptions.RayError:
            return None
        return placed

    def end(self) -> None:
        """Stop all."""
        stopping = [actor.stop.remote() for actor in self._actors.values()]
        self._ray.wait(stopping, num_returns=len(stopping), timeout=ANSWER_S)


def _family(node: Any) -> list[int]:
    roots = [info.process.pid for infos in node.all_processes.values() for info in infos]
    return [pid for root in roots for pid in processes.family(root)]


@contextmanager
def ray_shards(
    folder: Path, count: int, settings: Sequence[str], *, after_s: float = AFTER_S
) -> Iterator[RayShards]:
    """So many shards, and two actors that have the coordinator, with its ``after_s``."""
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # one for all of this process
    os.environ |= {MODE: "token", "RAY_USAGE_STATS_ENABLED": "0"}
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    directory = folder / "shards"
    directory.mkdir()
    write_map(directory, ShardMap.even(NAMES[:count]))
    try:
        with connected(cluster.address, directory) as ray:
            shards = RayShards(directory, ray, cluster, settings)
            for name in NAMES[:count]:
                shards.add_node()
                shards.start(name)
            try:
                shards.ready()
                actors.start_coordinators(ray, directory, after_s)
                yield shards
            finally:
                shards.end()
    finally:
        cluster.shutdown()


@contextmanager
def under_ray(folder: Path, count: int, settings: Sequence[str]) -> Iterator[Shards]:
    """As `StartShards` has it."""
    with ray_shards(folder, count, settings) as shards:
        yield shards
