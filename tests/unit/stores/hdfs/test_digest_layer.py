"""Integrity and privacy of DIGEST-MD5 as Java's server does them; what was changed on the way is never believed."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.hdfs.security import seal
from stores.hdfs.security.digest_layer import DigestLayer, Signer
from stores.hdfs.security.digest_md5 import Keys, parse_challenge, respond
from stores.hdfs.security.sasl import SaslError
from tests.unit.stores.hdfs.digest_vectors import ACCOUNT, CLIENT_NONCE, FROM_SERVER, SESSIONS, TO_SERVER, Session

PROTECTED = pytest.mark.parametrize("session", SESSIONS[1:], ids=lambda s: s.cipher or s.protection.value)
CIPHERS = st.sampled_from(["", "rc4", "3des"])
MESSAGES = st.lists(st.binary(max_size=400), min_size=1, max_size=5)


def keys_of(session: Session) -> Keys:
    challenge = parse_challenge(session.challenge)
    return respond(ACCOUNT, challenge, session.protection, CLIENT_NONCE, session.cipher).keys


def client(keys: Keys, cipher: str) -> DigestLayer:
    if not cipher:
        return DigestLayer(keys)
    return DigestLayer(keys, seal.Sealer(cipher, keys.seal, True), seal.Sealer(cipher, keys.unseal, False))


def server(keys: Keys, cipher: str) -> DigestLayer:
    return client(Keys(keys.verify, keys.sign, keys.unseal, keys.seal), cipher)


@PROTECTED
def test_messages_are_wrapped_as_java_took_them(session: Session) -> None:
    layer = client(keys_of(session), session.cipher)
    assert tuple(layer.wrap(message).hex() for message in TO_SERVER) == session.to_server


@PROTECTED
def test_what_java_wrapped_is_unwrapped(session: Session) -> None:
    layer = client(keys_of(session), session.cipher)
    assert tuple(layer.unwrap(bytes.fromhex(wrapped)) for wrapped in session.from_server) == FROM_SERVER


@given(CIPHERS, MESSAGES, st.binary(min_size=64, max_size=64))
def test_what_one_side_wraps_the_other_unwraps(cipher: str, messages: list[bytes], secret: bytes) -> None:
    keys = Keys(*(secret[at : at + 16] for at in range(0, 64, 16)))
    ours, theirs = client(keys, cipher), server(keys, cipher)
    for message in messages:
        assert theirs.unwrap(ours.wrap(message)) == message
        assert ours.unwrap(theirs.wrap(message)) == message


@given(CIPHERS, st.binary(max_size=40), st.data())
def test_no_changed_byte_is_believed(cipher: str, message: bytes, data: st.DataObject) -> None:
    keys = keys_of(SESSIONS[1])
    wrapped = bytearray(client(keys, cipher).wrap(message))
    at = data.draw(st.integers(0, len(wrapped) - 1))
    wrapped[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SaslError):
        server(keys, cipher).unwrap(wrapped)


@given(CIPHERS, st.binary(max_size=40))
def test_no_short_message_is_believed(cipher: str, wrapped: bytes) -> None:
    with pytest.raises(SaslError):
        server(keys_of(SESSIONS[1]), cipher).unwrap(wrapped)


def test_a_message_that_comes_twice_or_too_early_is_refused() -> None:
    keys = keys_of(SESSIONS[1])
    ours, theirs = client(keys, ""), server(keys, "")
    first, second = ours.wrap(b"1"), ours.wrap(b"2")
    with pytest.raises(SaslError, match="next"):
        theirs.unwrap(second)
    assert theirs.unwrap(first) == b"1"
    with pytest.raises(SaslError, match="next"):
        theirs.unwrap(first)


def test_in_place_means_no_copy() -> None:
    keys = keys_of(SESSIONS[2])
    buffer = bytearray(b"len ") + client(keys, "rc4").wrap(b"some bytes")
    message = server(keys, "rc4").unwrap_in_place(memoryview(buffer))
    assert bytes(message) == b"some bytes"
    assert message.obj is buffer


@given(st.binary(min_size=16, max_size=16), st.binary(max_size=200))
def test_signatures_are_hmac_md5(key: bytes, data: bytes) -> None:
    assert Signer(key).sign(data) == hmac.digest(key, data, "md5")[:10]


def test_both_ciphers_are_here_and_rc4_goes_first() -> None:
    assert seal.available() == ("rc4", "3des")


def test_a_des_key_has_odd_parity_and_all_bits() -> None:
    key = seal.des_key(bytes.fromhex("fedcba98765432"))
    assert all(byte.bit_count() % 2 == 1 for byte in key)
    assert "".join(f"{byte:08b}"[:7] for byte in key) == f"{0xFEDCBA98765432:056b}"
