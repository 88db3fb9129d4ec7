"""Bodies as they come in: summed up, compared with what is claimed, and counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bench.null_sink import claims
from bench.null_sink.counters import Counters
from bench.null_sink.objects import Received
from bench.null_sink.refusal import Refusal


class Intake:
    """Receives and compares. For several threads at once."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def receive(self, body: Iterator[memoryview], algorithms: tuple[str, ...], kept_bytes: int) -> Received:
        """Sums a body up; its content is kept when it has at most so many bytes."""
        sums = {name: claims.sum_of(name) for name in algorithms}
        updates = tuple(one.update for one in sums.values())
        size_bytes = 0
        content = bytearray()
        for piece in body:
            size_bytes += len(piece)
            for update in updates:
                update(piece)
            if size_bytes <= kept_bytes:
                content += piece
        self._counters.add("received_bytes", size_bytes)
        digests = {name: one.digest() for name, one in sums.items()}
        return Received(size_bytes, digests, bytes(content) if size_bytes <= kept_bytes else None)

    def drain(self, body: Iterator[memoryview]) -> None:
        """Receives what is left of a body that is refused."""
        for piece in body:
            self._counters.add("received_bytes", len(piece))

    def check(self, claimed: claims.Claims, received: Received, trailers: Mapping[str, str]) -> None:
        """Compares a body with its claims. Raises BadDigest, or MalformedTrailerError when one did not come."""
        for algorithm, digest in claimed.expected.items():
            self.compare(algorithm, digest, received.digests[algorithm])
        for algorithm in claimed.trailing:
            text = trailers.get(claims.HEADER + algorithm.lower())
            if text is None:
                raise Refusal.of("MalformedTrailerError", f"The announced trailer with the {algorithm} did not come.")
            self.compare(algorithm, claims.digest_of(algorithm, text), received.digests[algorithm])

    def compare(self, what: str, claimed: object, found: object) -> None:
        """Counts one claim. Raises BadDigest when it is false."""
        self._counters.add("claims_checked")
        if claimed != found:
            self._counters.add("claims_refused")
            raise Refusal.of("BadDigest", f"The claimed checksum ({what}) is not that of what was received.")
