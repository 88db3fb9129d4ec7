"""One child process of a house: how it is started, whether it is ready, how it is ended. Decides nothing."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2

from service import linux


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """What to start.

    Attributes:
        name: for people and for the log's file name.
        module: what is run, as by `python -m`.
        arguments: its command line, without the program.
        address: `HOST:PORT` or `unix:PATH` where it listens.
        speaks_health: it answers gRPC's health service; else it is ready when its port accepts a connection.
    """

    name: str
    module: str
    arguments: tuple[str, ...]
    address: str
    speaks_health: bool = True

    def answers(self) -> bool:
        """Returns whether what was started can be called now. Takes a second at most."""
        return accepts(self.address) and (not self.speaks_health or _serves(self.address))


@dataclass(slots=True)
class Child:
    """A child with an interpreter of its own. Dies with the thread that started it, whatever ends that one."""

    plan: ChildPlan
    log: Path
    environment: Mapping[str, str] = field(repr=False)
    process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str, inherited: tuple[int, ...] = ()) -> None:
        """Starts it, its output appended to the log. Takes further arguments, and descriptors that it is to have."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                (sys.executable, "-m", self.plan.module, *arguments, *self.plan.arguments),
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=inherited,
                preexec_fn=linux.die_with_parent,
            )

    @property
    def pid(self) -> int:
        """Process id, 0 before the start."""
        return self.process.pid if self.process else 0

    def exit_code(self) -> int | None:
        """Returns how it ended, None while it runs."""
        return self.process.poll() if self.process else None

    def is_ready(self) -> bool:
        """Returns whether it can be called now. Takes a second at most."""
        return self.plan.answers()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal, if it still runs."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)

    def wait(self, timeout_s: float) -> bool:
        """Waits for its end. Returns False when it still runs after `timeout_s`."""
        try:
            if self.process:
                self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def last_lines(self, count: int = 12) -> str:
        """Returns the end of its log."""
        return last_lines(self.log, count)


def last_lines(log: Path, count: int) -> str:
    """Returns the end of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])


def accepts(address: str) -> bool:
    """Returns whether a connection to `HOST:PORT` or `unix:PATH` is accepted now. Takes half a second at most."""
    try:
        with _connected(address):
            return True
    except OSError:
        return False


def _connected(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    if host != "unix":
        return socket.create_connection((host, int(port)), timeout=0.5)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(0.5)
        connection.connect(port)
    except OSError:
        connection.close()
        raise
    return connection


def _serves(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(), timeout=0.5)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
