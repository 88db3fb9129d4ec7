"""The key and trust stores of a test cluster whose KMS speaks TLS, and the site files that name them."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.certificates import make_certificates
from tests.support.processes import program

_SEAL = "changeit"
_TOOL_S = 60


@dataclass(frozen=True, slots=True)
class Stores:
    """Paths of the server's key store (PKCS#12), and of the clients' trust store in both of Java's formats. For a KMS
    at 127.0.0.1 or localhost only."""

    key_store: Path
    jks: Path
    pkcs12: Path


def make_stores(folder: Path) -> Stores:
    """Writes an authority of its own, a certificate by it, and the stores into an empty folder (3 s)."""
    made = make_certificates(folder)
    stores = Stores(folder / "keys.p12", folder / "trust.jks", folder / "trust.p12")
    openssl = program("openssl", "install the Debian package openssl")
    keytool = program("keytool", "install Java 17 (Debian: apt-get install openjdk-17-jdk-headless)")
    seal = ("-passout", f"pass:{_SEAL}")
    pair = ("-inkey", str(made.key), "-in", str(made.certificate))
    _run(openssl, "pkcs12", "-export", "-name", "kms", *pair, "-out", str(stores.key_store), *seal)
    trusted = ("-alias", "authority", "-file", str(made.authority), "-storepass", _SEAL)
    for kind, store in (("JKS", stores.jks), ("PKCS12", stores.pkcs12)):
        _run(keytool, "-importcert", "-noprompt", *trusted, "-storetype", kind, "-keystore", str(store))
    return stores


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=_TOOL_S)


def server_settings(stores: Stores) -> Mapping[str, str]:
    """Returns a KMS' ssl-server.xml."""
    return {
        "ssl.server.keystore.location": str(stores.key_store),
        "ssl.server.keystore.type": "PKCS12",
        "ssl.server.keystore.password": _SEAL,
        "ssl.server.keystore.keypassword": _SEAL,
    }


def client_settings(stores: Stores, kind: str = "JKS") -> Mapping[str, str]:
    """Returns ssl-client.xml of clients and of the NameNode; kind is JKS or PKCS12."""
    return {
        "ssl.client.truststore.location": str(stores.jks if kind == "JKS" else stores.pkcs12),
        "ssl.client.truststore.type": kind,
        "ssl.client.truststore.password": _SEAL,
    }
