"""A wire between a client and an HTTP server that notes which objects are asked for by HEAD. Changes nothing."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

_HEAD = re.compile(rb"(?:\A|\r\n\r\n)HEAD /([^ ?]*)")
_CHUNK_BYTES = 1 << 16


class CountingWire:
    """Listens on 127.0.0.1 and passes everything on. Requests are taken for whole ones when they come in one piece, as
    those without a body do."""

    def __init__(self, endpoint: str) -> None:
        """Starts nothing yet. `endpoint`: URL of the server, without TLS."""
        url = urlsplit(endpoint)
        self._server = (url.hostname or "", url.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._lock = threading.Lock()
        self._heads: list[str] = []

    @property
    def endpoint(self) -> str:
        """The URL that clients are given."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def taken(self, bucket: str) -> list[str]:
        """Returns the keys of a bucket that were asked for since the last call, in order of the keys."""
        with self._lock:
            heads, self._heads = self._heads, []
        keys = (head.removeprefix(f"{bucket}/") for head in heads if head.startswith(f"{bucket}/"))
        return sorted(key for key in keys if key and ".blockferry-probe-" not in key)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                for one, other, noted in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass, args=(one, other, noted), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket, noted: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := one.recv(_CHUNK_BYTES):
                if noted and (found := _HEAD.findall(chunk)):
                    with self._lock:
                        self._heads += [unquote(key.decode()) for key in found]
                other.sendall(chunk)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
