"""A certificate authority of our own and a server certificate for 127.0.0.1, made by the openssl command."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import program

_DAYS = "30"


@dataclass(frozen=True, slots=True)
class Certificates:
    """Paths of PEM files: what clients trust, what the server shows, and its key."""

    authority: Path
    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """Returns what a server of our own shows the certificate by."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_certificates(folder: Path) -> Certificates:
    """Writes a fresh authority and a certificate for 127.0.0.1 and localhost signed by it into `folder`."""
    openssl = program("openssl", "install the Debian package openssl")
    folder.mkdir(parents=True, exist_ok=True)

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    run("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", _DAYS, "-subj", "/CN=test authority")
    run("req", *new_key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1", "-addext", names)
    sign = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", _DAYS, "-copy_extensions", "copy")
    run("x509", "-req", "-in", "server.csr", *sign, "-out", "server.pem")
    return Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
