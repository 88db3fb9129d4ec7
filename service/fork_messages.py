"""What a house and its fork server say to each other: one JSON object per line. PURE.

`Start` and `Signal` go to the fork server, `Started` and `Exited` come back. A name has one process at a time: it is
started again only after its `Exited`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Start:
    """Fork a process that runs `main()` of a preloaded module.

    Attributes:
        name: of the process, for people and for the messages about it.
        module: e.g. `mover.__main__`.
        arguments: its command line, without the program.
        log: file to which its output is appended.
    """

    name: str
    module: str
    arguments: tuple[str, ...]
    log: str


@dataclass(frozen=True, slots=True)
class Signal:
    """Send a signal to a process, if it still runs."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Started:
    """A process was forked."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class Exited:
    """A process has ended: its exit code, or the negative number of the signal that ended it."""

    name: str
    code: int


Message = Start | Signal | Started | Exited
_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in (Start, Signal, Started, Exited)}


def encode(message: Message) -> bytes:
    """Returns the line of a message."""
    return json.dumps({"kind": type(message).__name__, **asdict(message)}).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Returns the message of a line."""
    fields = json.loads(line)
    kind = _KINDS[fields.pop("kind")]
    if "arguments" in fields:
        fields["arguments"] = tuple(fields["arguments"])
    return kind(**fields)


@dataclass(slots=True)
class Lines:
    """Cuts a stream of bytes into messages. Holds at most the bytes of one line that is not complete."""

    _rest: bytes = field(default=b"")

    def feed(self, data: bytes) -> tuple[Message, ...]:
        """Returns the messages that are complete with these bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return tuple(decode(line) for line in lines)
