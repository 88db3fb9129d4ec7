"""AES-CTR agrees with NIST's vectors and with the `openssl` program, at every offset and however it is cut."""

from __future__ import annotations

import shutil
import subprocess
import threading
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from stores.hdfs.security import aes_ctr, libcrypto
from stores.hdfs.security.aes_ctr import AesCtr, counter_at

# NIST SP 800-38A, F.5: one plaintext, one counter, a key of each size.
_COUNTER = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
_PLAIN = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
_NIST = {
    "2b7e151628aed2a6abf7158809cf4f3c": (
        "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
        "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"
    ),
    "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b": (
        "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94"
        "1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050"
    ),
    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4": (
        "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
        "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"
    ),
}
KEYS = st.sampled_from([16, 24, 32]).flatmap(lambda size: st.binary(min_size=size, max_size=size))
IVS = st.one_of(
    st.binary(min_size=16, max_size=16),
    # Counters that carry into the upper half, and that begin again at 0.
    st.integers(1, 40).map(lambda below: ((1 << 64) - below).to_bytes(16, "big")),
    st.integers(1, 40).map(lambda below: ((1 << 128) - below).to_bytes(16, "big")),
)


def crypted(key: bytes, iv: bytes, data: bytes, offset_bytes: int = 0) -> bytes:
    held = bytearray(data)
    with AesCtr(key, iv, offset_bytes) as stream:
        stream.crypt(memoryview(held))
    return bytes(held)


@pytest.mark.parametrize(("key", "expected"), list(_NIST.items()))
def test_nist_vectors(key: str, expected: str) -> None:
    assert crypted(bytes.fromhex(key), _COUNTER, _PLAIN).hex() == expected


@pytest.mark.parametrize(("key", "expected"), list(_NIST.items()))
def test_every_range_of_the_vectors(key: str, expected: str) -> None:
    for begin in range(len(_PLAIN) + 1):
        for end in range(begin, len(_PLAIN) + 1):
            found = crypted(bytes.fromhex(key), _COUNTER, _PLAIN[begin:end], begin)
            assert found.hex() == expected[2 * begin : 2 * end]


@given(KEYS, IVS, st.binary(max_size=400), st.data())
def test_a_range_is_what_the_whole_holds_there(key: bytes, iv: bytes, data: bytes, draw: st.DataObject) -> None:
    whole = crypted(key, iv, data)
    begin = draw.draw(st.integers(0, len(data)))
    end = draw.draw(st.integers(begin, len(data)))
    assert crypted(key, iv, data[begin:end], begin) == whole[begin:end]
    assert crypted(key, iv, whole) == data


@given(KEYS, IVS, st.lists(st.binary(max_size=50), max_size=8), st.integers(0, 1 << 70))
def test_pieces_are_one_stream(key: bytes, iv: bytes, pieces: list[bytes], offset: int) -> None:
    held = [bytearray(piece) for piece in pieces]
    with AesCtr(key, iv, offset) as stream:
        for piece in held:
            stream.crypt(memoryview(piece))
    assert b"".join(held) == crypted(key, iv, b"".join(pieces), offset)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
@pytest.mark.parametrize("key_bytes", [16, 24, 32])
@pytest.mark.parametrize("iv", ["00" * 16, "ff" * 16, "00" * 8 + "ff" * 8, "f0f1f2f3f4f5f6f7fffffffffffffffe"])
def test_the_openssl_program_agrees(key_bytes: int, iv: str) -> None:
    key = bytes(range(key_bytes))
    data = bytes(range(256)) * 5 + b"rest"
    command = ["openssl", "enc", f"-aes-{8 * key_bytes}-ctr", "-K", key.hex(), "-iv", iv]
    expected = subprocess.run(command, input=data, capture_output=True, check=True).stdout
    assert crypted(key, bytes.fromhex(iv), data) == expected
    assert crypted(key, bytes.fromhex(iv), data[37:], 37) == expected[37:]


@given(st.binary(min_size=16, max_size=16), st.integers(0, 1 << 130))
def test_counters_are_numbers_of_128_bits(iv: bytes, block: int) -> None:
    assert int.from_bytes(counter_at(iv, block), "big") == (int.from_bytes(iv, "big") + block) % 2**128


def test_a_carry_goes_through_all_bytes() -> None:
    assert counter_at(bytes.fromhex("00" * 7 + "01" + "ff" * 8), 1) == bytes.fromhex("00" * 7 + "02" + "00" * 8)
    assert counter_at(b"\xff" * 16, 1) == bytes(16)


def test_views_larger_than_one_call_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = crypted(_PLAIN[:16], _COUNTER, _PLAIN, 5)
    monkeypatch.setattr(aes_ctr, "_CALL_BYTES", 7)
    assert crypted(_PLAIN[:16], _COUNTER, _PLAIN, 5) == expected


def test_a_wide_view_is_taken_by_its_bytes() -> None:
    held = bytearray(_PLAIN)
    with AesCtr(_PLAIN[:16], _COUNTER) as stream:
        stream.crypt(memoryview(held).cast("Q"))
    assert bytes(held) == crypted(_PLAIN[:16], _COUNTER, _PLAIN)


@pytest.mark.parametrize(
    ("key", "iv", "offset"), [(15, 16, 0), (64, 16, 0), (0, 16, 0), (16, 12, 0), (16, 17, 0), (32, 16, -1)]
)
def test_wrong_sizes_are_refused_without_showing_the_key(key: int, iv: int, offset: int) -> None:
    with pytest.raises(ValueError, match="AES-CTR") as error:
        AesCtr(b"k" * key, bytes(iv), offset)
    assert "kk" not in str(error.value)


def test_views_that_cannot_be_written_are_refused() -> None:
    with AesCtr(bytes(16), bytes(16)) as stream:
        with pytest.raises(TypeError):
            stream.crypt(memoryview(b"constant"))
        with pytest.raises((TypeError, BufferError)):
            stream.crypt(memoryview(bytearray(8))[::2])


def test_a_closed_stream_says_so() -> None:
    stream = AesCtr(bytes(16), bytes(16))
    stream.close()
    stream.close()
    with pytest.raises(ValueError, match="closed"):
        stream.crypt(memoryview(bytearray(1)))


def test_a_stream_holds_no_memory_of_the_view() -> None:
    held = bytearray(64)
    with AesCtr(bytes(16), bytes(16)) as stream:
        stream.crypt(memoryview(held))
        held.extend(b"more")  # BufferError if anything were still looking at it


def test_views_are_not_copied() -> None:
    held = bytearray(8 << 20)
    with AesCtr(bytes(16), bytes(16)) as stream:
        tracemalloc.start()
        stream.crypt(memoryview(held))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 100_000


def test_each_thread_has_its_own_stream() -> None:
    data = bytes(range(256)) * 4096
    expected = crypted(_PLAIN[:32], _COUNTER, data)
    found: list[bytes] = []

    def work() -> None:
        for _ in range(5):
            found.append(crypted(_PLAIN[:32], _COUNTER, data))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 20


def test_without_libcrypto_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    aes_ctr._load.cache_clear()
    monkeypatch.setattr(libcrypto, "candidates", lambda: iter(("libcrypto-that-is-not-there.so",)))
    with pytest.raises(BlockferryError, match="libssl3") as error:
        AesCtr(bytes(16), bytes(16))
    assert error.value.reason == "LIBCRYPTO_MISSING"


def test_every_place_where_it_is_found_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    key, expected = next(iter(_NIST.items()))
    served = 0
    for name in list(libcrypto.candidates()):
        aes_ctr._load.cache_clear()
        monkeypatch.setattr(libcrypto, "candidates", lambda name=name: iter((name,)))
        with suppress(BlockferryError):
            assert crypted(bytes.fromhex(key), _COUNTER, _PLAIN).hex() == expected
            served += 1
    aes_ctr._load.cache_clear()
    assert served
