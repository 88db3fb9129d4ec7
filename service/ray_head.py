"""The local Ray cluster of a house: one process that starts it, keeps it, and ends it on SIGTERM.

Everything of it listens on the loopback interface: Ray takes a loopback address for itself only when it is told that
it will never be part of a larger cluster, which the switch below says in spite of its name. Token authentication is on.
A standing cluster (Kubernetes: KubeRay) takes the place of this process by `RAY_ADDRESS`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import tempfile

OBJECT_STORE_BYTES = 78_643_200  # Ray's least: no data goes through it


def main() -> None:
    """Runs until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m service.ray_head", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port of the cluster on 127.0.0.1")
    parser.add_argument("--cpu-count", type=int, required=True, help="processors that actors may share")
    arguments = parser.parse_args()
    os.environ.update(
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", RAY_USAGE_STATS_ENABLED="0", RAY_GCS_SERVER_PORT=str(arguments.port)
    )
    # Paths of unix sockets have 107 bytes at most, so the folder is a short one and not below the state folder.
    folder = tempfile.mkdtemp(prefix="bf-ray-")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        _start(arguments.cpu_count, folder)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
        _stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(cpu_count: int, folder: str) -> None:
    import ray

    ray.init(
        "local",
        _node_ip_address="127.0.0.1",
        _temp_dir=folder,
        num_cpus=cpu_count,
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        namespace="blockferry",
    )


def _stop() -> None:
    import ray

    ray.shutdown()


if __name__ == "__main__":
    main()
