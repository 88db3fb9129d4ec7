"""How a location decides to log in, before anybody is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from blockferry.errors import BlockferryError
from stores.hdfs.config.cluster import Authentication, Security
from stores.hdfs.rpc.rpc_sasl import Offer
from stores.hdfs.security.digest_login import DigestLogin
from stores.hdfs.security.login import TOKEN_FILE_VARIABLE, ClusterLogin
from stores.hdfs.security.tokens import DELEGATION_KIND, Token
from stores.hdfs.wire.security_pb2 import CredentialsProto
from stores.location import HdfsLocation
from tests.unit.stores.hdfs.digest_vectors import SESSIONS

KERBEROS = Offer("KERBEROS", "GSSAPI", "nn", "host")
TOKEN = Offer("TOKEN", "DIGEST-MD5", "", "default", SESSIONS[0].challenge)
SIMPLE = Offer("SIMPLE", "", "", "")


def plain(**changes: str) -> HdfsLocation:
    return HdfsLocation(("nn:8020",), "/", **changes)  # type: ignore[arg-type]


def named(**changes: str) -> HdfsLocation:
    return plain(principal="alice@A.TEST", keytab="/a.keytab", **changes)


def security(authentication: Authentication | None, fallback: bool = False) -> Security:
    return Security(authentication, fallback)


def token_file(folder: Path, service: str) -> dict[str, str]:
    """The environment with a file of one token."""
    token = Token(DELEGATION_KIND, service, b"identifier", b"password")
    body = CredentialsProto(tokens=[CredentialsProto.Named(alias=service, token=token.proto)]).SerializeToString()
    path = folder / "tokens"
    path.write_bytes(b"HDTS\x01" + bytes((len(body),)) + body)
    return {TOKEN_FILE_VARIABLE: str(path)}


@pytest.mark.parametrize(
    ("location", "said", "uses_sasl"),
    [
        (plain(), None, False),
        (plain(user="alice"), Authentication.SIMPLE, False),
        (plain(), Authentication.KERBEROS, True),
        (named(), None, True),
        (named(), Authentication.SIMPLE, True),
    ],
)
def test_sasl_is_used_where_somebody_has_asked_for_it(
    location: HdfsLocation, said: Authentication | None, uses_sasl: bool
) -> None:
    assert ClusterLogin(location, security(said), environment={}).uses_sasl == uses_sasl


def test_a_namenode_that_asks_for_more_gets_it_next_time() -> None:
    login = ClusterLogin(plain(), environment={})
    assert login.demanded()
    assert login.uses_sasl


@pytest.mark.parametrize(
    ("location", "said", "accepted"),
    [
        (plain(), security(None), True),
        (plain(), security(Authentication.KERBEROS), False),
        (plain(), security(Authentication.KERBEROS, fallback=True), True),
        (named(), security(None), False),
        (named(), security(Authentication.KERBEROS, fallback=True), True),
    ],
)
def test_a_server_without_security_is_accepted_where_nobody_has_asked_for_it(
    location: HdfsLocation, said: Security, accepted: bool
) -> None:
    login = ClusterLogin(location, said, environment={})
    assert login.choose("nn", 8020, [SIMPLE]) is None
    if accepted:
        login.accept_simple("nn", 8020)
        assert login.context_user(None, "me") == "me"
        assert not login.is_secure
    else:
        with pytest.raises(BlockferryError, match="fallback-to-simple-auth-allowed") as caught:
            login.accept_simple("nn", 8020)
        assert caught.value.reason == "NAMENODE_INSECURE"


@pytest.mark.parametrize("service", ["127.0.0.1:8020", "ha-hdfs:ns1", "NN.example:8020"])
def test_a_token_for_the_namenode_goes_before_kerberos(tmp_path: Path, service: str) -> None:
    host = "nn.example" if "example" in service else "127.0.0.1"
    login = ClusterLogin(plain(user="bob"), None, "ns1", token_file(tmp_path, service))
    assert login.uses_sasl
    choice = login.choose(host, 8020, [TOKEN, KERBEROS])
    assert choice is not None
    assert choice.offer is TOKEN
    assert isinstance(choice.mechanism, DigestLogin)
    assert login.context_user(choice, "me") == ""  # the token says whose it is
    assert login.is_secure


def test_a_token_for_another_cluster_is_of_no_use(tmp_path: Path) -> None:
    login = ClusterLogin(plain(), None, "ns1", token_file(tmp_path, "ha-hdfs:ns2"))
    with pytest.raises(BlockferryError, match="offers TOKEN to log in") as caught:
        login.choose("127.0.0.1", 8020, [TOKEN])
    assert caught.value.reason == "AUTHENTICATION_REQUIRED"


def test_a_principal_goes_before_a_file_of_tokens(tmp_path: Path) -> None:
    """Who gives a keytab means it; the environment may have been left over."""
    login = ClusterLogin(named(), None, "ns1", token_file(tmp_path, "ha-hdfs:ns1"))
    with pytest.raises(BlockferryError, match="AUTHENTICATION_REQUIRED"):
        login.choose("127.0.0.1", 8020, [TOKEN])


@pytest.mark.parametrize("content", [None, b"", b"HDTS\x00\x8f", b"not tokens"])
def test_a_file_of_tokens_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "tokens"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BlockferryError, match=str(path)) as caught:
        ClusterLogin(plain(), environment={TOKEN_FILE_VARIABLE: str(path)})
    assert caught.value.reason == "TOKEN_FILE_INVALID"


@pytest.mark.parametrize("half", [{"principal": "alice@A.TEST"}, {"keytab": "/a.keytab"}])
def test_half_a_login_is_refused(half: dict[str, str]) -> None:
    with pytest.raises(BlockferryError, match="give both") as caught:
        ClusterLogin(plain(**half), environment={})
    assert caught.value.reason == "INVALID_LOGIN"
