"""Truststores: Java's own format as `keytool -storetype JKS` wrote it, PKCS#12, PEM, and what is refused."""

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
from stores.hdfs.zones.kms_trust import trusted_pem
from stores.hdfs.zones.pkcs12 import certificates_of
from stores.hdfs.zones.truststore import as_pem, pem_of

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
# The same certificate in PKCS#12, as keytool of Java 17 writes it, and as those before Java 16 did (RC2, SHA-1).
_PKCS12 = base64.b64decode(
    "MIIC8gIBAzCCApwGCSqGSIb3DQEHAaCCAo0EggKJMIIChTCCAoEGCSqGSIb3DQEHBqCCAnIwggJuAgEAMIICZwYJKoZIhvcNAQcB"
    "MGYGCSqGSIb3DQEFDTBZMDgGCSqGSIb3DQEFDDArBBRtOJ+TEPuh/uy6w3BJPDnMy+F+3QICJxACASAwDAYIKoZIhvcNAgkFADAd"
    "BglghkgBZQMEASoEEE1VlMYl5vMZInhcb103sJOAggHwFWTwH3YmX7K7q9pLQajMY6GcXGcoDIB2m9W+KDMxjdmvRLhaU74EwpgY"
    "RIcLgtcRSO9VteAEPV9S2P0Ado7qmyaI+s5gvTg9OZ3PLVZiylQpIpC39nfbAIy0cAl5PvGXz3EObp0A8TRNhYcDTPQm6MhAds9L"
    "1zj44Z/UOtIP1jtiNBkI8ymY+4ki+o9S7RiUHzyQ+jzxmqpibX89+0RC+KZ8sMwv7aKpGFwfrs5w8+mT2tKrbCvOlvFeJ158wVoR"
    "Mwc2qEeEvsAo4m3kXKWxIZpWHFTVSN4WleYh1msPX6ygVbhsNV6XM4ZodDv3Uu3CjgPvj6oY6TlGqKQ3tHxisTLMwqGKGqQLlRuX"
    "b29N6J+zKcfrGUvkGznwlOBaoqlzOoeAWSJRYNMhmr1wr+LljGpTtdDbZ5jGdzv8+Av8s7yWLnhBtL7vUXnMQdQAsJtX7JTd1tbJ"
    "V41Cz/igWC8u6B4HMxgavSH/mQ2HrObyI3+kf/0BpgE5/Fe92mHtnDnYQ0hLr2br4qV1pzUi+29e1F9pLiUeQYtlrzS3xH7uD9uI"
    "kl0CIJNoPjuGP178rpa5P6MfTCwnGAd68yWGrTgDFfUmwSaa9yRmyIjM03+DWr0MfxoN371j7tlAasFshers2cKQ9sTzEUDu/HU6"
    "Uud/+TBNMDEwDQYJYIZIAWUDBAIBBQAEIHTzayTB44S7CkMElo3j2eJ4wmEbOSFUPs9X/80EUvBRBBQLMxi7wffQihYT4XuEu6I1"
    "5XjaKQICJxA="
)
_OLD_PKCS12 = base64.b64decode(
    "MIICngIBAzCCAlcGCSqGSIb3DQEHAaCCAkgEggJEMIICQDCCAjwGCSqGSIb3DQEHBqCCAi0wggIpAgEAMIICIgYJKoZIhvcNAQcB"
    "MCkGCiqGSIb3DQEMAQYwGwQULw7iW79D5ao+gC4Bfmp6dVAHE+oCAwDDUICCAejZa6vBEp627/lU59ZGp7MhWGyAGj+DbFwxNa3O"
    "gxmoUQFDXESWp622IDDrzRvytb1jsV0fZ8cIeusoV05di2UhR8q0HnAN1yHaljhmxaoQej0DAysgDCyk4/4ZlBVh1Czeq1vC/7MX"
    "FBrq9RCZlyzJmanZQoA8DIct03Az3k74Y3f+pPc0JTNGQC7NoJoyZN0NMX8j3YfApYdan4u+aYoeS0FgQtAuyQj+f/YuUDMCtaxe"
    "J1j0xi94rO9W1g9PDnJWoUdLnJvNZ/wM/N7kGWC0pWlLgL0Zb3BzdpPXkii4iI53A+NkI86uyvubFYBUITTAXTOUpMUFDUXZXD8Z"
    "K9fLk0Iv/EeRi+MTwM239NpE+qrf3vsb+HZg7lRe1cvctcp9ykW6H6mfPRKjDrJDEakeXxqwsXovzQ7NAh1qv/O/8OwDYxLjsctg"
    "2JO0votKd8hDPRF6qKGWCMB3n/rXoLGwer5N2AI8ZFuSwr4MDme0Inwh+SznXXAfDAJLE1FvNRYyTaH3HcDumDbSNVEKCRv9VpAH"
    "RdhetGHOMRmoXi+l3xC0cdRXjGSWH8z1d33V8K7QuB7Gsx5jij6CyXtbXoLTenPw6deBtJY4dV6+l16uRqZmD6FvUHr+Ji6BUi5e"
    "nU4+pRGAbUr5pDA+MCEwCQYFKw4DAhoFAAQUIjq9XzIPT+UB+9nNfufoo9N9dFcEFDigQrXMYyyncvww5djVwow9zGUQAgMBhqA="
)


def text(word: bytes) -> bytes:
    return struct.pack(">H", len(word)) + word


def sealed(body: bytes, password: str) -> bytes:
    return body + hashlib.sha1(password.encode("utf-16-be") + b"Mighty Aphrodite" + body).digest()  # noqa: S324


def certificate(content: bytes, version: int) -> bytes:
    return (text(b"X.509") if version == 2 else b"") + struct.pack(">I", len(content)) + content


def store(certificates: list[bytes], keys: list[bytes], version: int, password: str) -> bytes:
    """Returns a store with private keys, each with a chain of two certificates, and trusted certificates."""
    body = struct.pack(">III", 0xFEEDFEED, version, len(keys) + len(certificates))
    for key in keys:
        chain = struct.pack(">I", 2) + certificate(b"mine:" + key, version) + certificate(b"authority", version)
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
def test_trusted_certificates_and_those_of_keys_are_found(
    certificates: list[bytes], keys: list[bytes], version: int, password: str
) -> None:
    found = pem_of(store(certificates, keys, version, password), password)
    bodies = [part.partition("-----END")[0] for part in found.split("-----BEGIN CERTIFICATE-----")[1:]]
    assert [base64.b64decode(body) for body in bodies] == [*(b"mine:" + key for key in keys), *certificates]


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


def test_a_store_without_certificates_is_refused() -> None:
    with pytest.raises(ValueError, match="no certificate"):
        pem_of(store([], [], 2, "p"), "p")


@pytest.mark.parametrize("content", [_PKCS12, _OLD_PKCS12])
def test_the_recorded_pkcs12_stores(content: bytes) -> None:
    for _ in range(3):
        assert as_pem(certificates_of(content, "secret1")) == _PEM
    with pytest.raises(ValueError, match="password"):
        certificates_of(content, "secret2")
    for size in (1, 50, len(content) - 1):
        with pytest.raises(ValueError, match="cut off"):
            certificates_of(content[:size], "secret1")


def test_pkcs12_leaves_the_process_as_it_was() -> None:
    """The old ciphers are loaded apart: hashes and TLS of the process know nothing of them."""
    certificates_of(_OLD_PKCS12, "secret1")
    assert "md4" not in {name for name in hashlib.algorithms_available if _works(name)}
    ssl.create_default_context()


def _works(name: str) -> bool:
    try:
        hashlib.new(name)
    except ValueError:
        return False
    return True


def site(folder: Path, **properties: str) -> str:
    lines = (f"<property><name>{name}</name><value>{value}</value></property>" for name, value in properties.items())
    (folder / "ssl-client.xml").write_text(f"<configuration>{''.join(lines)}</configuration>")
    return str(folder)


LOCATION, PASSWORD = "ssl.client.truststore.location", "ssl.client.truststore.password"


@pytest.mark.parametrize("content", [_JKS, _PKCS12, _PEM.encode()])
def test_ssl_client_xml_names_the_truststore(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.jks").write_bytes(content)
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
        (_PKCS12[:-1], "cut off"),
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
