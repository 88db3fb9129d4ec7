"""Free TCP ports of 127.0.0.1 for the servers of the tests; never inside the ephemeral range."""

import random
import socket

_LOWEST = 20_000
_HIGHEST = (
    32_000  # Linux hands out 32768 and up to outgoing connections, which could take a port before its server does
)
_TRIES = 500


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int, also_above: int = 0) -> tuple[int, ...]:
    """Returns `count` different ports that nobody listens on now.

    also_above: when given, port + also_above is free and below the ephemeral range as well
    (SeaweedFS serves gRPC 10,000 above each of its ports).
    """
    chosen: dict[int, None] = {}
    for port in random.SystemRandom().sample(range(_LOWEST, _HIGHEST - also_above), _TRIES):
        if _is_free(port) and (not also_above or _is_free(port + also_above)):
            chosen[port] = None
        if len(chosen) == count:
            return tuple(chosen)
    raise RuntimeError(f"no {count} free ports between {_LOWEST} and {_HIGHEST}: end servers that are left over")


def free_port() -> int:
    """Returns one port that nobody listens on now."""
    return free_ports(1)[0]
