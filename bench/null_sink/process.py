"""The null sink as a child process, in the place of the other S3 servers of `tests.support.s3`."""

from __future__ import annotations

import json
import ssl
import sys
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.certificates import make_certificates
from tests.support.ports import free_port
from tests.support.s3 import Launch, S3Server

_ROOT = Path(__file__).resolve().parents[2]


class NullSink(S3Server):
    """Checks every claim and keeps no data. Takes any access key."""

    __slots__ = ()

    @classmethod
    def start(cls, folder: Path, *, tls: bool = False, checks_md5: bool = True, delay_ms: float = 0.0) -> Self:
        """Starts it with its log in `folder` (0.3 s)."""
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        certificates = make_certificates(folder / "tls") if tls else None
        flags: tuple[str, ...] = ("--tls", str(folder / "tls")) if certificates else ()
        flags += () if checks_md5 else ("--skip-md5",)
        flags += ("--delay-ms", str(delay_ms)) if delay_ms else ()
        arguments = (sys.executable, "-m", "bench.null_sink", "--port", str(port), *flags)
        launch = Launch("null-sink", arguments, {"PYTHONPATH": str(_ROOT)}, folder / "null-sink.log")
        endpoint = f"http{'s' if tls else ''}://127.0.0.1:{port}"
        server = cls(launch, endpoint, certificates.authority if certificates else None)
        server.start_process()
        return server

    def counters(self) -> dict[str, Any]:
        """Returns what it has counted since its start or the last reset."""
        found: dict[str, Any] = json.loads(self._ask("GET", "/-/counters"))
        return found

    def reset(self) -> None:
        """Lets it forget all buckets, uploads and counters."""
        self._ask("POST", "/-/reset")

    def connection(self) -> HTTPConnection:
        """Returns a plain HTTP connection to it. The caller closes it."""
        place = urlsplit(self.endpoint).netloc
        if self.ca_file is None:
            return HTTPConnection(place, timeout=60)
        return HTTPSConnection(place, timeout=60, context=ssl.create_default_context(cafile=str(self.ca_file)))

    def _ask(self, method: str, path: str) -> bytes:
        connection = self.connection()
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status >= 300:
                raise OSError(f"{method} {path} was answered with {answer.status}: {body[:200]!r}")
            return body
        finally:
            connection.close()


class FarSink(NullSink):
    """Answers 40 ms late, as a store of another region does."""

    __slots__ = ()

    @classmethod
    def start(cls, folder: Path, *, tls: bool = False, checks_md5: bool = True, delay_ms: float = 40.0) -> Self:
        """See `NullSink.start`."""
        return super().start(folder, tls=tls, checks_md5=checks_md5, delay_ms=delay_ms)
