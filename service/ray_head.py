"""The local Ray cluster of a house: one process that starts it, keeps it, and ends it on SIGTERM.

Everything of it listens on the loopback interface: Ray takes a loopback address for itself only when it is told that
it will never be part of a larger cluster, which the switch below says in spite of its name. Token authentication is on.
A standing cluster (Kubernetes: KubeRay) takes the place of this process by `RAY_ADDRESS`.

What a house has no use for is not started: dashboard, autoscaler and log monitor (`ray.init` starts them always; see
docs/decisions/2026-11-21-ray-on-loopback.md for what they cost). Ray's own classes are used for that, of the pinned
version; `tests/integration/test_ray_head.py` tells when they change.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import tempfile

OBJECT_STORE_BYTES = 78_643_200  # Ray's least: no data goes through it
_LONGEST_PARENT_BYTES = (
    107 - len("/session_2026-11-21_16-57-34_294230_4194304/sockets/plasma_store") - len("/bf-ray-12345678")
)


def main() -> None:
    """Runs until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m service.ray_head", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port of the cluster on 127.0.0.1")
    parser.add_argument("--cpu-count", type=int, required=True, help="processors that actors may share")
    arguments = parser.parse_args()
    os.environ.update(
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",
        RAY_USAGE_STATS_ENABLED="0",
        RAY_GCS_SERVER_PORT=str(arguments.port),
        RAY_prestart_worker_first_driver="0",  # or one worker more than there are actors is started
    )
    folder = make_folder(tempfile.gettempdir())
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    clean_up_behind_us(folder)
    start(arguments.cpu_count, folder)
    # The drivers have ended before: nothing is left that could end gracefully.
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


def make_folder(parent: str) -> str:
    """Makes a folder for Ray's sockets below `parent`, or below /tmp where their paths would become too long.

    A path of a unix socket has 107 bytes at most, and Ray puts `session_TIME_PID/sockets/plasma_store` below.
    """
    short_enough = len(os.fsencode(parent)) <= _LONGEST_PARENT_BYTES
    return tempfile.mkdtemp(prefix="bf-ray-", dir=parent if short_enough else "/tmp")  # noqa: S108 - a name of its own


def clean_up_behind_us(folder: str) -> None:
    """Begins a small process that ends our process group and removes the folder when we are gone, however we end.

    Ray ends its own children so, but not the agents that its raylet has started: they stay for 61 s.
    """
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    group = os.getpid()
    here, there = os.pipe()  # not inherited by programs that are started
    if os.fork():
        os.close(here)
        return
    os.close(there)
    os.setpgid(0, 0)
    os.read(here, 1)  # returns when the last writer is gone
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def start(cpu_count: int, folder: str) -> None:
    """Starts the cluster's processes."""
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    class Head(Node):
        """A head without a dashboard: it costs 85 MB, and the raylet waits 0.7 s for it."""

        def start_api_server(self, *, include_dashboard: bool | None, raise_on_failure: bool) -> None:
            """Starts nothing."""

    wanted = RayParams(
        node_ip_address="127.0.0.1",
        num_cpus=cpu_count,
        resources={},
        object_store_memory=OBJECT_STORE_BYTES,
        temp_dir=folder,
        include_dashboard=False,
        include_log_monitor=False,  # type: ignore[arg-type]  # Ray says str and means bool
        no_monitor=True,
    )
    Head(ray_params=wanted, head=True, shutdown_at_exit=False, spawn_reaper=False, ray_init_cluster=True)


if __name__ == "__main__":
    main()
