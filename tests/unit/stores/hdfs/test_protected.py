"""What goes over a protected connection comes out as it was, however it is cut; what was changed does not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stores.hdfs.security import seal
from stores.hdfs.security.aes_ctr import AesCtr
from stores.hdfs.security.digest_layer import DigestLayer
from stores.hdfs.security.digest_md5 import Keys
from stores.hdfs.security.sasl import SaslError
from stores.hdfs.transfer import protected
from stores.hdfs.transfer.peer import Peer, TransferLayer
from stores.hdfs.transfer.protected import AesStream, SaslRecords

KEYS = Keys(b"a" * 16, b"b" * 16, b"c" * 16, b"d" * 16)
KINDS = st.sampled_from(["aes", "integrity", "rc4", "3des"])
MESSAGES = st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=6)
CUTS = st.lists(st.integers(1, 2000), min_size=1, max_size=8)


def layer(kind: str, client: bool) -> TransferLayer:
    if kind == "aes":
        keys = (b"1" * 16, b"2" * 16)
        inbound, outbound = keys if client else keys[::-1]
        return AesStream(AesCtr(inbound, b"i" * 16), AesCtr(outbound, b"i" * 16))
    keys_of = KEYS if client else Keys(KEYS.verify, KEYS.sign, KEYS.unseal, KEYS.seal)
    if kind == "integrity":
        return SaslRecords(DigestLayer(keys_of))
    return SaslRecords(
        DigestLayer(keys_of, seal.Sealer(kind, keys_of.seal, True), seal.Sealer(kind, keys_of.unseal, False))
    )


@contextmanager
def connected() -> Iterator[tuple[socket.socket, Peer]]:
    """Returns the DataNode's end and ours."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    with theirs, closing(Peer(("127.0.0.1", 1), ours, 5.0)) as peer:
        yield theirs, peer


def pieces_of(size: int, cuts: list[int]) -> tuple[bytearray, list[memoryview]]:
    buffer, at = bytearray(size), 0
    pieces: list[memoryview] = []
    while at < size:
        cut = cuts[len(pieces) % len(cuts)]
        pieces.append(memoryview(buffer)[at : at + cut])
        at += cut
    return buffer, pieces


@settings(max_examples=40)  # a pair of sockets each
@given(KINDS, MESSAGES, CUTS)
def test_a_datanodes_messages_fill_any_pieces(kind: str, messages: list[bytes], cuts: list[int]) -> None:
    theirs_layer = layer(kind, client=False)
    with connected() as (theirs, peer):
        peer.protect(layer(kind, client=True))
        for message in messages:
            theirs.sendall(theirs_layer.sealed(message))
        sent = b"".join(messages)
        buffer, pieces = pieces_of(len(sent), cuts)
        middle = len(pieces) // 2
        for part in (pieces[:middle], pieces[middle:]):
            peer.receive_into(part)
            assert peer.arrived_bytes == sum(map(len, part))
        assert buffer == sent
        assert not peer.is_stale()


@settings(max_examples=40)  # a pair of sockets each
@given(KINDS, MESSAGES)
def test_what_we_send_is_understood(kind: str, messages: list[bytes]) -> None:
    with connected() as (theirs, peer), closing(Peer(("127.0.0.1", 2), theirs, 5.0)) as datanode:
        peer.protect(layer(kind, client=True))
        datanode.protect(layer(kind, client=False))
        for message in messages:
            peer.send(message)
        assert datanode.receive(sum(map(len, messages))) == b"".join(messages)


def test_a_record_larger_than_the_buffer_comes_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protected, "_STAGE_BYTES", 100)
    theirs_layer = layer("rc4", client=False)
    messages = [bytes([number]) * size for number, size in enumerate((30, 900, 5, 90, 4000, 1))]
    with connected() as (theirs, peer):
        peer.protect(layer("rc4", client=True))
        theirs.sendall(b"".join(theirs_layer.sealed(message) for message in messages))
        assert peer.receive(sum(map(len, messages))) == b"".join(messages)


def test_large_and_small_pieces_go_through_aes_alike() -> None:
    sent = bytes(range(256)) * 300
    stream = layer("aes", client=False)
    with connected() as (theirs, peer):
        peer.protect(layer("aes", client=True))
        theirs.sendall(stream.sealed(sent))
        buffer = bytearray(len(sent))
        view = memoryview(buffer)
        peer.receive_into([view[:40_000]])  # in the caller's memory
        peer.receive_into([view[at : at + 64] for at in range(40_000, len(sent), 64)])  # by the stage
        assert buffer == sent


@pytest.mark.parametrize("kind", ["integrity", "rc4", "3des"])
def test_a_record_that_was_changed_is_refused_and_none_of_it_counts(kind: str) -> None:
    theirs_layer = layer(kind, client=False)
    with connected() as (theirs, peer):
        peer.protect(layer(kind, client=True))
        changed = bytearray(theirs_layer.sealed(b"first") + theirs_layer.sealed(b"second"))
        changed[-12] ^= 1
        theirs.sendall(changed)
        first, second = memoryview(bytearray(5)), memoryview(bytearray(6))
        with pytest.raises(SaslError):
            peer.receive_into([first, second])
        assert (bytes(first), peer.arrived_bytes) == (b"first", 5)
        assert bytes(second) == bytes(6)


def test_a_record_that_cannot_be_is_refused_before_memory_is_taken() -> None:
    with connected() as (theirs, peer):
        peer.protect(layer("integrity", client=True))
        theirs.sendall(b"\xff\xff\xff\xff")
        with pytest.raises(SaslError, match="4294967295"):
            peer.receive(1)


def test_a_connection_with_bytes_that_nobody_took_is_stale() -> None:
    with connected() as (theirs, peer):
        peer.protect(layer("integrity", client=True))
        theirs.sendall(layer("integrity", client=False).sealed(b"answer and more"))
        assert peer.receive(6) == b"answer"
        assert peer.is_stale()


def test_an_aes_stream_that_breaks_off_counts_nothing() -> None:
    """Bytes that came and were not decrypted must not be looked at."""
    with connected() as (theirs, peer):
        peer.protect(layer("aes", client=True))
        theirs.sendall(b"some")
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(EOFError):
            peer.receive_into([memoryview(bytearray(20_000)), memoryview(bytearray(20_000))])
        assert peer.arrived_bytes == 0
