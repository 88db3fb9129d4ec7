"""DIGEST-MD5 agrees with RFC 2831's example and with Java's server, and believes nothing that is not proved."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.hdfs.security.digest_md5 import Account, Challenge, Keys, check_server, parse_challenge, respond
from stores.hdfs.security.sasl import SaslError
from stores.location import Protection
from tests.unit.stores.hdfs.digest_vectors import ACCOUNT, CLIENT_NONCE, SESSIONS, Session

RECORDED = pytest.mark.parametrize("session", SESSIONS, ids=lambda s: s.cipher or s.protection.value)
TEXTS = st.binary(min_size=1, max_size=30).filter(lambda text: b"\n" not in text)


def test_the_example_of_the_rfc() -> None:
    """Section 4 of RFC 2831."""
    account = Account(b"chris", b"secret", b"imap/elwood.innosoft.com")
    challenge = parse_challenge(
        b'realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8'
    )
    response = respond(account, challenge, Protection.AUTHENTICATION, b"OA6MHXh6VqTrRk", "")
    assert b"response=d388dad90d4bbd760a152321f2143af7" in response.message
    check_server(response, b"rspauth=ea40f60335c427b5527b84dbabcdfffd")


@RECORDED
def test_a_response_is_what_java_took(session: Session) -> None:
    challenge = parse_challenge(session.challenge)
    assert challenge.offered == (session.protection,)
    response = respond(ACCOUNT, challenge, session.protection, CLIENT_NONCE, session.cipher)
    assert response.message == session.response
    check_server(response, session.proof)


@RECORDED
def test_a_server_that_does_not_know_the_password_is_refused(session: Session) -> None:
    challenge = parse_challenge(session.challenge)
    other = Account(ACCOUNT.user, b"another password", ACCOUNT.uri)
    response = respond(other, challenge, session.protection, CLIENT_NONCE, session.cipher)
    for token in (session.proof, b"", b"rspauth="):
        with pytest.raises(SaslError, match="password"):
            check_server(response, token)


def test_everything_that_a_server_may_offer() -> None:
    challenge = parse_challenge(
        b'realm="one", realm="two",nonce="n\\"o,\\\\nce" ,qop="auth-conf, auth-int,auth",cipher="3des,rc4",maxbuf=65536'
    )
    assert challenge == Challenge(b"one", b'n"o,\\nce', tuple(Protection), ("3des", "rc4"))


def test_a_challenge_without_words_offers_authentication() -> None:
    assert parse_challenge(b'nonce="x"').offered == (Protection.AUTHENTICATION,)


@pytest.mark.parametrize(
    "challenge", [b"", b'realm="a"', b'nonce="', b'nonce="a",algorithm=md5', b"\xff\xfe", b"nonce"]
)
def test_what_is_no_challenge_is_refused(challenge: bytes) -> None:
    with pytest.raises(SaslError):
        parse_challenge(challenge)


@given(TEXTS, TEXTS, st.sampled_from(list(Protection)))
def test_quotes_and_backslashes_come_back(user: bytes, nonce: bytes, protection: Protection) -> None:
    """Our own answer, read by the same rules as a challenge, says what was put in."""
    account = Account(user, b"password", b"hdfs/0")
    response = respond(account, Challenge(user, nonce, (protection,), ("rc4",)), protection, b"c", "rc4")
    read = parse_challenge(response.message.replace(b"username=", b"qop="))
    assert (read.realm, read.nonce) == (user, nonce)


@given(st.binary(max_size=60))
def test_no_bytes_break_the_parser(challenge: bytes) -> None:
    with contextlib.suppress(SaslError):
        assert parse_challenge(challenge).nonce


def test_nothing_secret_is_shown() -> None:
    challenge = parse_challenge(SESSIONS[1].challenge)
    response = respond(ACCOUNT, challenge, Protection.INTEGRITY, CLIENT_NONCE, "")
    shown = repr((ACCOUNT, response, Keys(b"1" * 16, b"2" * 16, b"3" * 16, b"4" * 16)))
    for secret in (ACCOUNT.user, ACCOUNT.password, response.keys.sign, response.server_proof, b"1" * 16):
        assert repr(secret)[2:-1] not in shown.replace(repr(response.message), "")
