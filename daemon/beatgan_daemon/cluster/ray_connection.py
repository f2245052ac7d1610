"""A connection to a Ray cluster that lets nobody in without its token.

Whoever may speak to Ray may run any program on its machines. So without a token nothing is begun.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from beatgan.errors import UsageError
from beatgan_daemon.exit_codes import StartError, one_line
from beatgan_daemon.extras import needing
from beatgan_daemon.zmq_endpoints import is_local

MODE: Final = "RAY_AUTH_MODE"
HOW: Final = (
    "`ray get-auth-token --generate` writes one; set RAY_AUTH_MODE=token for `ray start` and here"
)
ANSWER_S: Final = 60.0  # for a node to say how it was started; it starts a process for that


@contextmanager
def connected(address: str, directory: Path) -> Iterator[Any]:
    """The module ``ray``, connected from a node of the cluster at ``address`` until the block ends.

    What is named in it is named apart for each ``directory`` of shards. Raises StartError where
    the token is not required or the dashboard is public, UsageError where there is no such cluster.
    """
    require_token(os.environ)
    with needing("ray"):
        import ray
    try:
        context = ray.init(
            address=address,
            namespace=f"beatgan {directory}",
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise UsageError(f"no Ray cluster at {address}: {one_line(error)}") from None
    try:
        require_private_dashboard(context.dashboard_url)
        yield ray
    finally:
        ray.shutdown()


def require_token(environment: Mapping[str, str]) -> None:
    """Raise StartError unless Ray is to be reached with a token that others cannot read."""
    if environment.get(MODE) != "token":
        raise StartError(f"Ray would let in everybody: {MODE} is not token; {HOW}")
    if environment.get("RAY_AUTH_TOKEN"):
        return
    path = Path(environment.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise StartError(f"{path}: Ray's token cannot be read: {error.strerror}; {HOW}") from None
    if mode & 0o077:
        raise StartError(f"{path}: others can read Ray's token; `chmod 600 {path}`")


def require_private_dashboard(url: str | None) -> None:
    """Raise StartError where others than this machine's users may reach Ray's dashboard."""
    if url and not is_local(f"tcp://{url.removeprefix('http://')}"):
        raise StartError(
            f"Ray's dashboard is open to other machines, at {url}: start the head with "
            "`--include-dashboard=false` or `--dashboard-host=127.0.0.1`"
        )


def require_token_on_nodes(ray: Any) -> None:
    """Raise StartError naming the node that was started without the token."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = {}
    for node in living_nodes(ray):
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked[node["NodeID"]] = (
            ray.remote(auth_mode).options(num_cpus=0, scheduling_strategy=there).remote()
        )
    for node_id, answer in asked.items():
        try:
            mode = ray.get(answer, timeout=ANSWER_S)
        except ray.exceptions.RayError as error:
            raise UsageError(f"node {node_id[:8]} does not answer: {one_line(error)}") from None
        if mode != "token":
            raise StartError(f"node {node_id[:8]} of Ray lets in everybody; {HOW}")


def living_nodes(ray: Any) -> list[dict[str, Any]]:
    """Those of the cluster that are there."""
    return [node for node in ray.nodes() if node["Alive"]]


def auth_mode() -> str:
    """How Ray was started where this runs."""
    return os.environ.get(MODE, "")
