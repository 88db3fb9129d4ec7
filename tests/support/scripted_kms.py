"""A key server that gives the answers of a script, over http or https: what a real one does not do on demand."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

KEY_ANSWER = b'{\n  "material" : "DLZ7Zt6w-sIiIfaJFwjo4g",\n  "name" : "k1",\n  "versionName" : "EK"\n}'
KEY = bytes.fromhex("0cb67b66deb0fac22221f6891708e8e2")


@dataclass(frozen=True, slots=True)
class Said:
    """One answer. `headers` are sent beside Content-Length."""

    status: int = 200
    body: bytes = KEY_ANSWER
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    target: str
    headers: Mapping[str, str]
    body: object


class ScriptedKms:
    """Listens on an address of this machine. Gives the answers in order, the last one for ever; `asked` grows."""

    def __init__(
        self, answers: Iterable[Said] = (Said(),), tls: tuple[Path, Path] | None = None, address: str = "127.0.0.1"
    ) -> None:
        """`tls` is certificate and key (PEM)."""
        self.asked: list[Asked] = []
        self._answers = list(answers)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((address, 0), self._handler())
        self._server.daemon_threads = True
        self.scheme = "http"
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def uri(self) -> str:
        """kms://SCHEME@localhost:PORT/kms."""
        return f"kms://{self.scheme}@localhost:{self.port}/kms"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(20)

    def answer(self, asked: Asked) -> Said:
        """Notes a request and returns what to say."""
        with self._lock:
            self.asked.append(asked)
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                said = script.answer(Asked(self.path, dict(self.headers), json.loads(body)))
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(said.body)))
                self.end_headers()
                self.wfile.write(said.body)

            def log_message(self, format: str, *args: object) -> None:
                """Keeps quiet."""

        return Handler
