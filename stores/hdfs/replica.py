"""The name of one replica in errors: which block, on which DataNode. PURE."""

from __future__ import annotations

from dataclasses import dataclass

from blockferry.errors import BlockferryError, Whose


@dataclass(frozen=True, slots=True)
class Replica:
    """A block on a DataNode. `host` is its data transfer address, HOST:PORT."""

    block_id: int
    host: str

    def failure(self, reason: str, message: str, offset: int, *, retryable: bool = False) -> BlockferryError:
        """Returns an error of this replica. `offset` is in bytes from the block's begin."""
        return BlockferryError(
            reason,
            message,
            retryable=retryable,
            whose=Whose.SOURCE,
            block_id=self.block_id,
            offset=offset,
            host=self.host,
        )

    def corrupt(self, offset: int, expected: str, found: str) -> BlockferryError:
        """Returns the error of a chunk at `offset` whose bytes do not match the sum that is stored for it."""
        error = self.failure(
            "CHECKSUM_MISMATCH",
            f"the DataNode {self.host} sent bytes of block {self.block_id} that do not match the checksum stored for "
            f"them: stored {expected}, found {found} at {offset}. Read another replica and report this one.",
            offset,
        )
        error.coordinates |= {"expected": expected, "found": found}
        return error

    def not_genuine(self, offset: int, cause: Exception) -> BlockferryError:
        """Returns the error of a DataNode that has not proved itself, or whose bytes were changed on the way."""
        return self.failure(
            "DATANODE_UNAVAILABLE",
            f"the DataNode {self.host} has not proved itself for block {self.block_id}, or what it sent was changed on "
            f"the way: {cause}. Read another replica, and check that nobody stands between the worker and it.",
            offset,
            retryable=True,
        )
