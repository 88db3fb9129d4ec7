"""Truststores: Java's own format as `keytool -storetype JKS` wrote it, PEM, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import ssl
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from stores.hdfs.kms_trust import trusted_pem
from stores.hdfs.truststore import pem_of

# One certificate of our own, and a store with it, made by keytool of Java 17 with the password "secret1".
_PEM = (
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBfTCCASOgAwIBAgIUf/ZO76X0/sb8TQlKLvkTzJ0MgGQwCgYIKoZIzj0EAwIw\n"
    "EzERMA8GA1UEAwwIRmVycnkgQ0EwIBcNMjYxMTIxMTgxMjQ5WhgPMjEyNjEwMjgx\n"
    "ODEyNDlaMBMxETAPBgNVBAMMCEZlcnJ5IENBMFkwEwYHKoZIzj0CAQYIKoZIzj0D\n"
    "AQcDQgAEHUofKz9N8+yiwayCeeO79mLw6luz283BHDdvhuQq8y6x3zSwGt2X7QEo\n"
    "p8odyGx9l1m1/Fu22qgaCGx2/1w6G6NTMFEwHQYDVR0OBBYEFLNXGdSWkfU9goIV\n"
    "oWA07MHxCuIRMB8GA1UdIwQYMBaAFLNXGdSWkfU9goIVoWA07MHxCuIRMA8GA1Ud\n"
    "EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAMqTNLj0ydbk+5ZT02WznjmH\n"
    "6dZrx3lP4v5HHQarOxbLAiAoO0c5b+RQxRo0Qo6jvYc/3/sVQb7R7EAKHiwxPkUX\n"
    "Pg==\n"
    "-----END CERTIFICATE-----\n"
)
_JKS = base64.b64decode(
    "/u3+7QAAAAIAAAABAAAAAgADb25lAAABof9PnXIABVguNTA5AAABgTCCAX0wggEjoAMCAQICFH/2Tu+l9P7G/E0JSi75E8ydDIBk"
    "MAoGCCqGSM49BAMCMBMxETAPBgNVBAMMCEZlcnJ5IENBMCAXDTI2MTEyMTE4MTI0OVoYDzIxMjYxMDI4MTgxMjQ5WjATMREwDwYD"
    "VQQDDAhGZXJyeSBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABB1KHys/TfPsosGsgnnju/Zi8Opbs9vNwRw3b4bkKvMusd80"
    "sBrdl+0BKKfKHchsfZdZtfxbttqoGghsdv9cOhujUzBRMB0GA1UdDgQWBBSzVxnUlpH1PYKCFaFgNOzB8QriETAfBgNVHSMEGDAW"
    "gBSzVxnUlpH1PYKCFaFgNOzB8QriETAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQDKkzS49MnW5PuWU9Nls545"
    "h+nWa8d5T+L+Rx0GqzsWywIgKDtHOW/kUMUaNEKOo72HP9/7FUG+0exACh4sMT5FFz5EeaauOZXNV6jox/6OyyAWelZ7CQ=="
)


def text(word: bytes) -> bytes:
    return struct.pack(">H", len(word)) + word


def sealed(body: bytes, password: str) -> bytes:
    return body + hashlib.sha1(password.encode("utf-16-be") + b"Mighty Aphrodite" + body).digest()  # noqa: S324


def certificate(content: bytes, version: int) -> bytes:
    return (text(b"X.509") if version == 2 else b"") + struct.pack(">I", len(content)) + content


def store(certificates: list[bytes], keys: list[bytes], version: int, password: str) -> bytes:
    """Returns a store with private keys, each with a chain of one certificate, and trusted certificates."""
    body = struct.pack(">III", 0xFEEDFEED, version, len(keys) + len(certificates))
    for key in keys:
        chain = struct.pack(">I", 1) + certificate(b"mine", version)
        body += struct.pack(">I", 1) + text(b"k") + bytes(8) + struct.pack(">I", len(key)) + key + chain
    for each in certificates:
        body += struct.pack(">I", 2) + text(b"c") + bytes(8) + certificate(each, version)
    return sealed(body, password)


def test_the_recorded_store() -> None:
    assert pem_of(_JKS, "secret1") == _PEM
    assert pem_of(_JKS) == _PEM  # the password may be kept elsewhere; the certificates are in clear
    ssl.create_default_context(cadata=pem_of(_JKS))


def test_pem_is_taken_as_it_is() -> None:
    assert pem_of(b"# our authority\n" + _PEM.encode(), "unused").endswith(_PEM)


BYTES = st.binary(min_size=1, max_size=120)


@given(
    st.lists(BYTES, min_size=1, max_size=4), st.lists(BYTES, max_size=3), st.sampled_from([1, 2]), st.text(max_size=9)
)
def test_all_trusted_certificates_are_found_and_no_other(
    certificates: list[bytes], keys: list[bytes], version: int, password: str
) -> None:
    found = pem_of(store(certificates, keys, version, password), password)
    bodies = [part.partition("-----END")[0] for part in found.split("-----BEGIN CERTIFICATE-----")[1:]]
    assert [base64.b64decode(body) for body in bodies] == certificates


def test_a_store_that_was_changed_or_has_another_password_is_refused() -> None:
    changed = bytearray(_JKS)
    changed[100] ^= 1
    for content, password in ((bytes(changed), "secret1"), (_JKS, "secret2")):
        with pytest.raises(ValueError, match="seal"):
            pem_of(content, password)


@given(st.integers(0, len(_JKS) - 1))
def test_a_store_that_is_cut_off_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=r"cut off|seal|neither"):
        pem_of(_JKS[:size], "secret1")


@given(st.binary(max_size=200).filter(lambda content: b"BEGIN CERT" not in content))
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        pem_of(content)


def test_a_pkcs12_store_is_refused_with_the_command_that_converts_it() -> None:
    with pytest.raises(ValueError, match="-deststoretype JKS"):
        pem_of(b"\x30\x82\x02\xf2")


def test_a_store_without_certificates_is_refused() -> None:
    with pytest.raises(ValueError, match="no certificate"):
        pem_of(store([], [b"key"], 2, "p"), "p")


def site(folder: Path, **properties: str) -> str:
    lines = (f"<property><name>{name}</name><value>{value}</value></property>" for name, value in properties.items())
    (folder / "ssl-client.xml").write_text(f"<configuration>{''.join(lines)}</configuration>")
    return str(folder)


LOCATION, PASSWORD = "ssl.client.truststore.location", "ssl.client.truststore.password"


def test_ssl_client_xml_names_the_truststore(tmp_path: Path) -> None:
    (tmp_path / "t.jks").write_bytes(_JKS)
    folder = site(tmp_path, **{LOCATION: str(tmp_path / "t.jks"), PASSWORD: "secret1"})
    assert trusted_pem(folder) == _PEM


def test_without_a_truststore_the_systems_trust_counts(tmp_path: Path) -> None:
    assert trusted_pem("") == trusted_pem(str(tmp_path)) == ""
    assert trusted_pem(site(tmp_path, **{PASSWORD: "secret1"})) == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"rubbish", "neither PEM nor"),
        (_JKS[:-1] + b"x", "seal"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "PEM"),
    ],
)
def test_a_truststore_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "t.jks").write_bytes(content)
    folder = site(tmp_path, **{LOCATION: str(tmp_path / "t.jks"), PASSWORD: "secret1"})
    with pytest.raises(BlockferryError, match=words) as error:
        trusted_pem(folder)
    assert error.value.reason == "TRUSTSTORE_INVALID"
    assert "t.jks" in error.value.message
    assert "ssl-client.xml" in error.value.message
    assert "secret1" not in str(error.value)
