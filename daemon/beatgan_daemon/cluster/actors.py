"""What runs within Ray: an actor for each shard, and two that have the coordinator.

Ray starts an actor again that dies, on another node if need be. None of them has a state that it
would miss then: that lies in the shards' directory.
"""

from pathlib import Path
from threading import Event, Thread
from typing import Any, Final, NamedTuple

from beatgan.errors import UsageError
from beatgan_daemon import log
from beatgan_daemon.cluster.shard_supervisor import ShardOrder, ShardState, ShardSupervisor
from beatgan_daemon.sharding.control_loop import keep

COORDINATORS: Final = ("coordinator", "second coordinator")  # which looks on, on another node
SHARD: Final = "shard "  # before its name: a shard may be called coordinator
NODE: Final = "node"  # as an address: the one by which Ray knows the node
CALLS: Final = 4  # at the same time: a reload takes long, and the state is asked meanwhile
AGAIN_S: Final = 1.0


class Place(NamedTuple):
    """Where an actor is."""

    node: str
    address: str


class PlacedShard(NamedTuple):
    """A shard, and where it is."""

    state: ShardState
    place: Place


class ShardActor:
    """Supervises a shard on the node where Ray puts it."""

    def __init__(self, order: ShardOrder) -> None:
        """Begin to run it."""
        if order.bind == NODE:
            order = order._replace(bind=_place().address)
        self._supervisor = ShardSupervisor(order)

    def state(self) -> PlacedShard:
        """How and where it is."""
        return PlacedShard(self._supervisor.state(), _place())

    def reload(self) -> str:
        """Let it read its settings and model again; what it says of that."""
        return self._supervisor.reload()

    def stop(self) -> None:
        """End its daemon for good."""
        self._supervisor.stop()


class CoordinatorActor:
    """Gives dead shards' buckets to the others, see `control_loop`."""

    def __init__(self, directory: str, after_s: float) -> None:
        """Begin to."""
        log.configure(form="json")
        self._arguments = Path(directory), after_s
        Thread(target=self._keep, name="control-loop", daemon=True).start()

    def state(self) -> Place:
        """Where it is."""
        return _place()

    def _keep(self) -> None:
        stopping = Event()
        while not stopping.wait(AGAIN_S):
            try:
                keep(*self._arguments, stopping.is_set)
            except UsageError as error:
                log.get().error("the shards cannot be looked after", why=str(error))


def start_shard(ray: Any, order: ShardOrder, cpus: float, gpus: float) -> Any:
    """The actor of a shard, detached; Ray places it as soon as there is room."""
    return (
        ray.remote(ShardActor)
        .options(
            name=SHARD + order.name,
            lifetime="detached",
            max_restarts=-1,
            max_task_retries=0,
            max_concurrency=CALLS,
            num_cpus=cpus,
            num_gpus=gpus,
            scheduling_strategy="SPREAD",
        )
        .remote(order)
    )


def start_coordinators(ray: Any, directory: Path, after_s: float) -> None:
    """Their actors, detached, those that are not there yet."""
    for name in COORDINATORS:
        if found(ray, name) is None:
            ray.remote(CoordinatorActor).options(
                name=name,
                lifetime="detached",
                max_restarts=-1,
                num_cpus=0,
                scheduling_strategy="SPREAD",
            ).remote(str(directory), after_s)


def coordinators(ray: Any) -> dict[str, Any]:
    """Those that are there, by their names."""
    actors = {name: found(ray, name) for name in COORDINATORS}
    return {name: actor for name, actor in actors.items() if actor is not None}


def found(ray: Any, name: str) -> Any:
    """The actor of that name; None where there is none."""
    try:
        return ray.get_actor(name)
    except ValueError:
        return None


def shards(ray: Any) -> dict[str, Any]:
    """The actor of each shard, by its name."""
    names = [each for each in ray.util.list_named_actors() if each.startswith(SHARD)]
    actors = {name.removeprefix(SHARD): found(ray, name) for name in sorted(names)}
    return {name: actor for name, actor in actors.items() if actor is not None}


def _place() -> Place:
    import ray

    node = ray.get_runtime_context().get_node_id()
    return Place(node, ray.util.get_node_ip_address())
