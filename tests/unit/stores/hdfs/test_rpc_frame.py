"""Frames of Hadoop RPC: what is written, and what answers say, cut off or garbled ones included."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.hdfs.delimited import varint
from stores.hdfs.rpc import rpc_frame
from stores.hdfs.rpc.rpc_frame import Answer, AuthProtocol, FrameError, Status
from stores.hdfs.wire import rpc_pb2
from stores.hdfs.wire.namenode_pb2 import GetFileInfoRequestProto

CLIENT = bytes(range(16))


def delimited(body: bytes) -> bytes:
    return varint(len(body)) + body


def test_a_connection_begins_with_version_9_and_the_way_to_log_in() -> None:
    assert rpc_frame.preamble(AuthProtocol.NONE) == b"hrpc\x09\x00\x00"
    assert rpc_frame.preamble(AuthProtocol.SASL) == b"hrpc\x09\x00\xdf"


def test_a_frame_begins_with_its_length() -> None:
    for frame in (
        rpc_frame.context(CLIENT, "alice", "P"),
        rpc_frame.call(CLIENT, 7, "P", "m", GetFileInfoRequestProto(src="/x" * 500)),
    ):
        assert int.from_bytes(frame[:4], "big") == len(frame) - 4


def test_the_context_names_the_user() -> None:
    frame = rpc_frame.context(CLIENT, "alice", "a.Protocol")
    header = rpc_pb2.RpcRequestHeaderProto.FromString(frame[5 : 5 + frame[4]])
    rest = frame[5 + frame[4] :]
    context = rpc_pb2.IpcConnectionContextProto.FromString(rest[1:])
    assert (header.callId, header.retryCount, header.clientId) == (-3, -1, CLIENT)
    assert (context.userInfo.effectiveUser, context.protocol) == ("alice", "a.Protocol")


@given(st.integers(0, 2**31 - 1), st.binary(max_size=400))
def test_an_answer_is_read_as_it_was_written(call_id: int, body: bytes) -> None:
    header = rpc_pb2.RpcResponseHeaderProto(callId=call_id, status=0).SerializeToString()
    assert rpc_frame.answer(delimited(header) + delimited(body)) == Answer(call_id, Status.SUCCESS, body)


@given(st.sampled_from([Status.ERROR, Status.FATAL]), st.text(max_size=100), st.text(max_size=300))
def test_an_exception_is_read_with_class_and_text(status: Status, name: str, text: str) -> None:
    header = rpc_pb2.RpcResponseHeaderProto(callId=1, status=status, exceptionClassName=name, errorMsg=text)
    assert rpc_frame.answer(delimited(header.SerializeToString())) == Answer(1, status, b"", name, text)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_frame_error(data: bytes) -> None:
    with contextlib.suppress(FrameError):
        assert rpc_frame.answer(data).status in Status


@given(st.binary(min_size=1, max_size=300), st.data())
def test_an_answer_that_is_cut_off_is_refused(body: bytes, data: st.DataObject) -> None:
    header = rpc_pb2.RpcResponseHeaderProto(callId=1, status=0).SerializeToString()
    whole = delimited(header) + delimited(body)
    with pytest.raises(FrameError):
        rpc_frame.answer(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_the_begin_of_a_web_page_is_no_frame() -> None:
    with pytest.raises(FrameError, match="HTTP"):
        rpc_frame.frame_size(b"HTTP")
    with pytest.raises(FrameError):
        rpc_frame.frame_size(bytes(4))
    assert rpc_frame.frame_size(b"\x00\x00\x01\x00") == 256


@given(st.integers(0, 2**63 - 1))
def test_a_varint_has_seven_bits_a_byte(number: int) -> None:
    encoded = varint(number)
    assert sum((byte & 0x7F) << 7 * index for index, byte in enumerate(encoded)) == number
    assert [byte >= 0x80 for byte in encoded] == [True] * (len(encoded) - 1) + [False]
