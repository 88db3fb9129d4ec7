"""The process: one thread for each connection, http or https, until it is ended."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
import traceback
from pathlib import Path

from bench.null_sink import documents
from bench.null_sink.counters import Counters
from bench.null_sink.http import Answer, Connection, Request
from bench.null_sink.operations import Operations
from bench.null_sink.refusal import BrokenBody, Refusal
from bench.null_sink.streams import PlainStream, TlsStream

_BACKLOG = 1024
_STACK_BYTES = 512 << 10


class Server:
    """Answers on one port of 127.0.0.1."""

    def __init__(self, port: int, tls: ssl.SSLContext | None, checks_md5: bool = True, delay_s: float = 0.0) -> None:
        self._delay_s = delay_s
        self._tls = tls
        self._counters = Counters()
        self._operations = Operations(self._counters, checks_md5)
        self._socket = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        self.port: int = self._socket.getsockname()[1]

    def run(self) -> None:
        """Takes connections for ever."""
        threading.stack_size(_STACK_BYTES)
        while True:
            connected, _ = self._socket.accept()
            threading.Thread(target=self._attend, args=(connected,), daemon=True).start()

    def _attend(self, connected: socket.socket) -> None:
        """Answers one connection's requests. A client that goes away is no fault of anybody."""
        self._counters.add("connections")
        tls = self._tls
        try:
            with connected:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._serve(Connection(PlainStream(connected) if tls is None else TlsStream(connected, tls)))
        except OSError:
            return

    def _serve(self, connection: Connection) -> None:
        stays_open = True
        while stays_open:
            try:
                request = connection.request()
            except Refusal as refusal:
                connection.send(self._refused(refusal, "").encoded(bodiless=False, closes=True))
                return
            if request is None:
                return
            answer, readable = self._answer(request, connection)
            stays_open = readable and request.stays_open
            if self._delay_s:
                time.sleep(self._delay_s)
            connection.send(answer.encoded(request.method == "HEAD", closes=not stays_open))

    def _answer(self, request: Request, connection: Connection) -> tuple[Answer, bool]:
        """Returns the answer, and whether the connection can be used after it."""
        resource = f"/{request.bucket}/{request.key}"
        try:
            return self._operations.answer(request, connection), True
        except Refusal as refusal:
            return self._refused(refusal, resource), not isinstance(refusal, BrokenBody)
        except OSError:
            raise
        except Exception:  # a fault of ours is answered, and seen in the log
            traceback.print_exc(file=sys.stderr)
            return self._refused(Refusal(500, "InternalError", "See the log."), resource), False

    def _refused(self, refusal: Refusal, resource: str) -> Answer:
        self._counters.add("refusals")
        return Answer(refusal.status, {"Content-Type": "application/xml"}, documents.error(refusal, resource))


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Returns what serves https. No session tickets: they would be two more records for each connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.num_tickets = 0
    return context
