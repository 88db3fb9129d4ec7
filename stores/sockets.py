"""What connections to DataNodes and to object stores have in common: limits of time by the kernel, and idle ones."""

from __future__ import annotations

import socket
import struct


def set_kernel_limits(connected: socket.socket, wait_s: float, receive_s: float | None = None) -> None:
    """Lets a socket block, with the kernel's limits of time: after `wait_s` a call raises BlockingIOError; one that
    receives, after `receive_s` if given.

    A limit of Python makes the socket non-blocking: each call then asks first whether it may, and MSG_WAITALL is void.
    """
    connected.settimeout(None)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(wait_s if receive_s is None else receive_s))
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(wait_s))


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))


def is_stale(idle: socket.socket) -> bool:
    """Returns whether the other end has closed an idle connection, or has sent what nobody asked for."""
    try:
        idle.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
