"""Ray's nodes on this machine, as a process: a head without CPUs, and others.

    python tests/support/ray_nodes.py NODES CPUS

It prints the head's address, then obeys lines of stdin: `kill N` (SIGKILL for all processes of the
Nth node), `add`, `kill head`. At the end of stdin all are gone.
"""

import sys

from ray.cluster_utils import Cluster


def main() -> None:
    """See above."""
    count, cpus = int(sys.argv[1]), int(sys.argv[2])
    head = {"num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(num_cpus=cpus) for _ in range(count)]
    print(cluster.address, flush=True)  # noqa: T201
    for line in sys.stdin:
        match line.split():
            case ["kill", "head"]:
                cluster.head_node.kill_gcs_server(check_alive=False)
            case ["kill", number]:
                cluster.remove_node(nodes[int(number)], allow_graceful=False)
            case ["add"]:
                nodes.append(cluster.add_node(num_cpus=cpus))
        print("done", flush=True)  # noqa: T201
    cluster.shutdown()


if __name__ == "__main__":
    main()
