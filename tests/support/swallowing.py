"""An address behind which packets are swallowed, as by a firewall that drops them. 127.0.0.1 only."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def swallowing_address() -> Iterator[tuple[str, int]]:
    """Yields an address that answers no attempt to connect: the queue of its listener is full, and Linux then drops
    what comes."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        host, port = listener.getsockname()
        while True:
            one = stack.enter_context(socket.socket())
            one.settimeout(0.2)
            try:
                one.connect((host, port))
            except TimeoutError:
                break
        yield str(host), int(port)
