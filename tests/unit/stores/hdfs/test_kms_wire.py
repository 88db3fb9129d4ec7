"""Addresses, requests and answers of a KMS. The recorded answers are those of Hadoop 3.4.2."""

from __future__ import annotations

import base64
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from stores.hdfs.zones import kms_wire
from stores.hdfs.zones.kms_wire import EncryptedKey, KmsAddress

KEY = EncryptedKey("k1", "k1@0", b"i" * 16, b"m" * 16)
_JSON = (
    '{\n  "RemoteException" : {\n    "message" : "%s",\n    "exception" : "%s",\n    "javaClassName" : "x.%s"\n  }\n}'
)
_PAGE = (
    '<html>\n<head>\n<meta http-equiv="Content-Type" content="text/html;charset=ISO-8859-1"/>\n'
    "<title>Error 401 Authentication required</title>\n</head>\n<body><h2>HTTP ERROR 401 Authentication required</h2>\n"
    "<table>\n<tr><th>URI:</th><td>/kms/v1/keyversion/k1%400/_eek</td></tr>\n<tr><th>STATUS:</th><td>401</td></tr>\n"
    "<tr><th>MESSAGE:</th><td>Authentication required</td></tr>\n</table>\n\n</body>\n</html>\n"
)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("kms://http@kms1:9600/kms", KmsAddress("http", (("kms1", 9600),), "/kms")),
        ("kms://https@kms1;kms2:9600/kms", KmsAddress("https", (("kms1", 9600), ("kms2", 9600)), "/kms")),
        ("kms://https@kms1;kms2:9600/kms/", KmsAddress("https", (("kms1", 9600), ("kms2", 9600)), "/kms")),
        ("kms://http@a:1;b:2/kms", KmsAddress("http", (("a", 1), ("b", 2)), "/kms")),
        ("kms://https@kms1/kms", KmsAddress("https", (("kms1", 443),), "/kms")),
        ("kms://http@kms1", KmsAddress("http", (("kms1", 80),), "")),
        ("kms://http@[::1];[fe80::2]:9600/kms", KmsAddress("http", (("::1", 9600), ("fe80::2", 9600)), "/kms")),
    ],
)
def test_addresses(uri: str, expected: KmsAddress) -> None:
    assert kms_wire.parse_uri(uri) == expected


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("jceks://file@/etc/keys.jceks", "KMS_UNSUPPORTED"),
        ("https://kms1:9600/kms", "KMS_UNSUPPORTED"),
        ("kms://ftp@kms1:9600/kms", "KMS_URI_INVALID"),
        ("kms://http@/kms", "KMS_URI_INVALID"),
        ("kms://http@a;;b:9600/kms", "KMS_URI_INVALID"),
        ("kms://http@a:port/kms", "KMS_URI_INVALID"),
        ("kms1:9600", "KMS_URI_INVALID"),
        ("kms://http@a:1/kms?x=y", "KMS_URI_INVALID"),
        ("kms://http@a b:1/kms", "KMS_URI_INVALID"),
        ("", "KMS_URI_INVALID"),
    ],
)
def test_what_is_no_address_is_refused_with_a_cure(uri: str, reason: str) -> None:
    with pytest.raises(BlockferryError, match="of the cluster says it") as error:
        kms_wire.parse_uri(uri)
    assert error.value.reason == reason


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = kms_wire.parse_uri(f"kms://https@{text}")
    except BlockferryError:
        return
    assert address.hosts
    assert all(host and not set(host) & set("/;@ \r\n") for host, _ in address.hosts)


def test_origins_of_ipv6() -> None:
    assert kms_wire.origin("https", "::1", 9600) == "https://[::1]:9600"
    assert kms_wire.origin("http", "kms1", 80) == "http://kms1:80"


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(NAMES, NAMES)
def test_names_of_any_kind_go_into_the_target(version: str, user: str) -> None:
    key = EncryptedKey("k", version, b"i" * 16, b"m" * 16)
    target = kms_wire.decrypt_target("/kms", key, {"user.name": user})
    assert target.isascii()
    assert not set(target) & set(" \r\n\t#")
    assert target.count("/") == 5  # a slash in a name does not lead elsewhere
    assert target.count("?") == 1


def test_the_target_as_hadoop_writes_it() -> None:
    target = kms_wire.decrypt_target("/kms", KEY, {"user.name": "alice"})
    assert target == "/kms/v1/keyversion/k1%400/_eek?eek_op=decrypt&user.name=alice"
    assert kms_wire.decrypt_target("", KEY, {}) == "/v1/keyversion/k1%400/_eek?eek_op=decrypt"


def test_the_body_of_a_request() -> None:
    sent = json.loads(kms_wire.decrypt_body(KEY))
    assert sent == {"name": "k1", "iv": "aWlpaWlpaWlpaWlpaWlpaQ==", "material": "bW1tbW1tbW1tbW1tbW1tbQ=="}


@given(st.sampled_from([16, 24, 32]).flatmap(lambda size: st.binary(min_size=size, max_size=size)), st.booleans())
def test_keys_come_in_both_alphabets(key: bytes, padded: bool) -> None:
    text = base64.b64encode(key).decode() if padded else base64.urlsafe_b64encode(key).decode().rstrip("=")
    assert kms_wire.data_key(json.dumps({"material": text, "name": "k1"}).encode()) == key


def test_the_recorded_answer_of_a_kms() -> None:
    body = b'{\n  "material" : "DLZ7Zt6w-sIiIfaJFwjo4g",\n  "name" : "k1",\n  "versionName" : "EK"\n}'
    assert kms_wire.data_key(body).hex() == "0cb67b66deb0fac22221f6891708e8e2"


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b"<html>", b'{"material": null}', b'{"material": "AAAA"}', b'{"material": "%%%%"}'],
)
def test_an_answer_without_a_key_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="in the answer"):
        kms_wire.data_key(body)


def test_a_key_of_an_odd_size_does_not_show_in_the_error() -> None:
    with pytest.raises(ValueError, match="a key of 15 bytes") as error:
        kms_wire.data_key(json.dumps({"material": base64.b64encode(b"s" * 15).decode()}).encode())
    assert error.value.__cause__ is None
    assert "c3Nz" not in str(error.value)


@pytest.mark.parametrize(("iv", "material"), [(b"", b"m"), (b"i" * 15, b"m"), (b"i" * 16, b"")])
def test_no_encrypted_key_without_iv_and_material(iv: bytes, material: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        kms_wire.encrypted_key("k", "k@0", iv, material)


def test_encrypted_keys_show_their_names_only() -> None:
    assert repr(KEY) == "EncryptedKey(key_name='k1', version_name='k1@0')"


@pytest.mark.parametrize(
    ("status", "body", "reason", "retryable", "words"),
    [
        (
            403,
            _JSON % (("User:bob not allowed to do 'DECRYPT_EEK' on 'k1'", *("AuthorizationException",) * 2)),
            *("ACCESS_DENIED", False, "key.acl.k1.DECRYPT_EEK"),
        ),
        (
            403,
            _JSON % (("User: alice is not allowed to impersonate bob", *("AuthorizationException",) * 2)),
            *("ACCESS_DENIED", False, "impersonate bob"),
        ),
        (401, _PAGE, "KMS_LOGIN_REFUSED", False, "Authentication required"),
        (403, _PAGE.replace("401", "403"), "KMS_LOGIN_REFUSED", False, "keytab"),
        (
            400,
            _JSON % ("'k1@7' not found", *("IllegalArgumentException",) * 2),
            *("KMS_KEY_UNKNOWN", False, "k1@0"),
        ),
        (404, "", "KMS_KEY_UNKNOWN", False, "k1@0"),
        (400, _JSON % ("Parameter 'iv' cannot be null", "E", "E"), "KMS_REFUSED", False, "Parameter 'iv'"),
        (500, _JSON % ("disk is gone", *("IOException",) * 2), "KMS_UNAVAILABLE", True, "disk is gone"),
        (503, "", "KMS_UNAVAILABLE", True, "status 503"),
        (429, "", "KMS_UNAVAILABLE", True, "status 429"),
        (302, "", "KMS_REFUSED", False, "status 302"),
    ],
)
def test_answers_become_errors(status: int, body: str, reason: str, retryable: bool, words: str) -> None:
    error = kms_wire.failure_of(kms_wire.answer_of(status, body.encode()), KEY, "bob", "kms1:9600")
    assert (error.reason, error.retryable) == (reason, retryable)
    assert words in error.message
    assert error.coordinates["host"] == "kms1:9600"
    assert error.coordinates["key_name"] == "k1"
    assert error.coordinates["user"] == "bob"
    assert pickle.loads(pickle.dumps(error)).message == error.message  # noqa: S301


@given(st.integers(300, 599), st.binary(max_size=200))
def test_answers_of_any_kind_become_errors(status: int, body: bytes) -> None:
    answer = kms_wire.answer_of(status, body)
    assert "\n" not in answer.text
    assert len(answer.text) <= 300
    assert kms_wire.failure_of(answer, KEY, "bob", "h:1").reason


@pytest.mark.parametrize(
    "body", ['{"RemoteException": "text"}', '{"RemoteException": null}', '{"RemoteException": []}']
)
def test_remote_exceptions_of_another_shape(body: str) -> None:
    assert kms_wire.answer_of(500, body.encode()).text == ""


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, "[]", ""),
        (403, _JSON % (("User:bob not allowed to do 'GET_KEYS'", *("AuthorizationException",) * 2)), ""),
        (401, _PAGE, "KMS_LOGIN_REFUSED"),
        (403, _PAGE, "KMS_LOGIN_REFUSED"),
        (404, _PAGE, "KMS_REFUSED"),
        (302, "", "KMS_REFUSED"),
        (500, "", "KMS_UNAVAILABLE"),
        (429, "", "KMS_UNAVAILABLE"),
    ],
)
def test_a_greeting_tells_servers_that_know_us(status: int, body: str, reason: str) -> None:
    error = kms_wire.greeting_failure(kms_wire.answer_of(status, body.encode()), "bob", "kms1:9600")
    assert (error.reason if error else "") == reason
    if error is not None:
        assert error.retryable == (reason == "KMS_UNAVAILABLE")
        assert error.coordinates["host"] == "kms1:9600"
        assert "kms1:9600" in error.message


def test_the_target_of_a_greeting() -> None:
    assert kms_wire.greeting_target("/kms", {"user.name": "a b"}) == "/kms/v1/keys/names?user.name=a%20b"
