"""Messages after their length, as Hadoop writes protocol buffers one after the other. PURE."""

from __future__ import annotations

from google.protobuf.message import Message


def varint(number: int) -> bytes:
    """Returns a number that is not negative in protobuf's form: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def delimited(message: Message) -> bytes:
    """Returns a message with its size in front."""
    body = message.SerializeToString()
    return varint(len(body)) + body
