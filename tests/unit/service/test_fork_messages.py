"""The lines between a house and its fork server."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.fork_messages import Exited, Lines, Message, Signal, Start, Started, decode, encode

TEXT = st.text(st.characters(codec=None))  # surrogates too: a path is any bytes
MESSAGES = st.one_of(
    st.builds(Start, name=TEXT, module=TEXT, arguments=st.lists(TEXT).map(tuple), log=TEXT),
    st.builds(Signal, name=TEXT, number=st.integers(1, 64)),
    st.builds(Started, name=TEXT, pid=st.integers(1)),
    st.builds(Exited, name=TEXT, code=st.integers(-64, 255)),
)


@given(MESSAGES)
def test_a_message_is_one_line_and_comes_back(message: Message) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line) == message


@given(st.lists(MESSAGES), st.integers(1, 50))
def test_messages_come_out_whole_however_the_bytes_are_cut(messages: list[Message], size: int) -> None:
    lines, stream = Lines(), b"".join(encode(message) for message in messages)
    out = [message for at in range(0, len(stream), size) for message in lines.feed(stream[at : at + size])]
    assert out == messages
