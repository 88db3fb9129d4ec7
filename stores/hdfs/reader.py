"""Ranges of files and their stored sums, out of blocks: over several blocks, over a part of one, over all replicas.

Holds no bytes: what is read goes straight into the caller's view.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from blockferry.errors import BlockferryError, Whose
from stores.base import Condition, Extent, RangeRead, Stat
from stores.checksum import Algorithm, Checksum, combine, concatenation, empty
from stores.hdfs.addresses import AddressOf, by_ip
from stores.hdfs.blocks import BlockSlice, FileBlock, slices
from stores.hdfs.datanode import BlockSums, DatanodeRead, Datanodes, algorithm_of
from stores.hdfs.erasure.striped import StripedReader
from stores.hdfs.experience import Experience
from stores.hdfs.failover import Attempt, Search, only_replicas, over_replicas
from stores.hdfs.layouts import Layouts
from stores.hdfs.wire.hdfs_pb2 import LocatedBlockProto

T = TypeVar("T")

# `encryption.ZoneReader` reads encrypted files, and gives this module what it has the key of.
_CIPHERTEXT = ("CIPHERTEXT_REFUSED", "is encrypted, its blocks hold ciphertext, and that is never given as its content")
_COMBINED_BYTES = 4 << 20
_REFUSED = {
    Condition.ENCRYPTED: _CIPHERTEXT,
    Condition.OPEN_ENCRYPTED: _CIPHERTEXT,
}


class FileReader:
    """Reads from DataNodes. Thread safe."""

    def __init__(
        self,
        datanodes: Datanodes,
        layouts: Layouts,
        report: Callable[[LocatedBlockProto], None],
        experience: Experience | None = None,
        address_of: AddressOf = by_ip,
    ) -> None:
        """Opens nothing.

        Args:
            datanodes: connections.
            layouts: where blocks lie.
            report: tells the NameNode of corrupt replicas.
            experience: how long DataNodes are waited for.
            address_of: how DataNodes are addressed.
        """
        self._datanodes = datanodes
        self._layouts = layouts
        self._report = report
        self._experience = experience or Experience()
        self._address_of = address_of
        self._striped = StripedReader(datanodes, layouts, report, self._experience, address_of)

    def extents(self, file: Stat) -> tuple[Extent, ...]:
        """Returns the file's blocks (block groups, of an erasure-coded one) in order; () for an empty one."""
        refuse_unreadable(file)
        return tuple(block.extent for block in self._layouts.blocks(file)) if file.size_bytes else ()

    def claimed_algorithm(self, file: Stat) -> Algorithm:
        """Returns CRC32 if every block is kept with CRC32, else CRC32C.

        Asks one DataNode per block, with a read of no bytes (its answer names the type of the sums): a file's blocks
        may differ, and the algorithm must be known before an upload begins. Stops at the first that is not CRC32.
        """
        refuse_unreadable(file)
        if not file.size_bytes:
            return Algorithm.CRC32C
        nothing = memoryview(bytearray())

        def ask(to: Attempt) -> DatanodeRead:
            return self._datanodes.read(
                to.address, to.located, 0, nothing, Algorithm.CRC32C, allow_unproven=True, limit=to.limit
            )

        def crc_type(block: FileBlock) -> int:
            if self._striped.holds(file):
                return self._striped.crc_type(file, block)
            return self._over_replicas(self._search(file, block, block.extent.offset, 0), ask).crc_type

        for block in self._layouts.blocks(file):
            if algorithm_of(crc_type(block)) is not Algorithm.CRC32:
                return Algorithm.CRC32C
        return Algorithm.CRC32

    def read_into(self, file: Stat, offset: int, view: memoryview, algorithm: Algorithm | None) -> RangeRead:
        """See `Source.read_into`.

        Raises:
            BlockferryError: SOURCE_CORRUPT, SOURCE_UNAVAILABLE (retryable), SOURCE_CHANGED,
                CIPHERTEXT_REFUSED, ERASURE_CODING_UNSUPPORTED.
        """
        pieces = self._slices(file, offset, len(view))
        if algorithm is None:
            if len(pieces) == 1 and pieces[0].size == file.size_bytes:
                return self._read_slice(file, offset, pieces[0], view, None)
            algorithm = self.claimed_algorithm(file)
        parts: list[tuple[Checksum, int]] = [(empty(algorithm), 0)]
        proven, retry_count, done = True, 0, 0
        for piece in pieces:
            target = view[done : done + piece.size]
            read = self._read_slice(file, offset + done, piece, target, algorithm)
            parts.append((read.checksum, piece.size))
            proven, retry_count, done = proven and read.proven, retry_count + read.retry_count, done + piece.size
        return RangeRead(concatenation(parts), proven, retry_count)

    def stored_checksum(self, file: Stat, offset: int, size: int, algorithm: Algorithm) -> Checksum | None:
        """See `Source.stored_checksum`. DataNodes combine what they store; where a range begins or ends inside a chunk
        they read that chunk. From those that cannot (see `BlockSums.uncombined`) the range is read with the sums of its
        chunks, and those are combined here.

        Raises:
            BlockferryError: as `read_into`.
        """
        parts: list[tuple[Checksum, int]] = [(empty(algorithm), 0)]
        done = 0
        for piece in self._slices(file, offset, size):
            checksum = self._stored_slice(file, offset + done, piece, algorithm)
            if checksum is None:
                return None
            parts.append((checksum, piece.size))
            done += piece.size
        return concatenation(parts)

    def _slices(self, file: Stat, offset: int, size: int) -> tuple[BlockSlice, ...]:
        refuse_unreadable(file)
        if not size:
            return ()
        try:
            return slices(self._layouts.blocks(file), offset, size)
        except ValueError as error:
            raise BlockferryError(
                "RANGE_OUTSIDE_FILE",
                f"{file.path} has {file.size_bytes} bytes: {size} from {offset} on cannot be read.",
                path=file.path,
                offset=offset,
            ) from error

    def _read_slice(
        self, file: Stat, offset: int, piece: BlockSlice, view: memoryview, algorithm: Algorithm | None
    ) -> RangeRead:
        """Reads from the first replica that proves its bytes; without any, from one that has no sums."""
        if self._striped.holds(file):
            return self._striped.read(file, offset, piece, view, algorithm)
        search = self._search(file, piece.block, offset, piece.size)

        def read(to: Attempt, allow_unproven: bool = False) -> DatanodeRead:
            return self._datanodes.read(to.address, to.located, piece.offset, view, algorithm, allow_unproven, to.limit)

        try:
            done = self._over_replicas(search, read)
        except BlockferryError as error:
            if error.reason != "SOURCE_UNVERIFIED":
                raise
            for address in search.hosts("SOURCE_UNVERIFIED"):  # no failures: there is nothing better
                del search.failures[address]
            done = self._over_replicas(search, partial(read, allow_unproven=True))
        self._report_corrupt(search)
        return RangeRead(done.checksum, done.proven, len(search.failures))

    def _stored_slice(self, file: Stat, offset: int, piece: BlockSlice, algorithm: Algorithm) -> Checksum | None:
        # The stripes of this size, of which ours is the last, are one question instead of two.
        in_stripes = piece.offset and piece.offset % piece.size == 0 and not self._striped.holds(file)
        end = piece.offset + piece.size
        sums = self._sums(file, piece.block, end, piece.size if in_stripes else 0)
        if algorithm_of(sums.crc_type) is not algorithm:
            return None
        if sums.uncombined:
            return self._combined_here(file, offset, piece.size, algorithm)
        if sums.crc is None:
            return None
        if sums.stripes:
            return Checksum(algorithm, sums.stripes[-1])
        before = self._crc_until(file, piece.block, piece.offset, algorithm)
        if before is None:
            return None
        # whole = shifted before XOR ours, and combine() shifts and XORs: applied to `whole` it gives ours back.
        return combine(before, Checksum(algorithm, sums.crc), piece.size)

    def _combined_here(self, file: Stat, offset: int, size: int, algorithm: Algorithm) -> Checksum | None:
        """Returns the sum of a range of one block out of the sums of its chunks, which come with the data only. Holds
        at most 4 MiB of it at a time."""
        buffer = memoryview(bytearray(min(size, _COMBINED_BYTES)))
        parts: list[tuple[Checksum, int]] = [(empty(algorithm), 0)]
        for at in range(offset, offset + size, _COMBINED_BYTES):
            view = buffer[: min(_COMBINED_BYTES, offset + size - at)]
            read = self.read_into(file, at, view, algorithm)
            if not read.proven:
                return None
            parts.append((read.checksum, len(view)))
        return concatenation(parts)

    def _crc_until(self, file: Stat, block: FileBlock, end: int, algorithm: Algorithm) -> Checksum | None:
        if not end:
            return empty(algorithm)
        sums = self._sums(file, block, end, 0)
        if sums.crc is None or algorithm_of(sums.crc_type) is not algorithm:
            return None
        return Checksum(algorithm, sums.crc)

    def _sums(self, file: Stat, block: FileBlock, size_bytes: int, stripe_bytes: int) -> BlockSums:
        """Returns the sums of the first replica that keeps any; if none does, what the last one said."""
        if self._striped.holds(file):
            return self._striped.sums(file, block, size_bytes)
        without: list[BlockSums] = []

        def ask(to: Attempt) -> BlockSums:
            sums = self._datanodes.block_sums(to.address, to.located, size_bytes, stripe_bytes, to.limit)
            if sums.crc is None and not sums.uncombined:
                without.append(sums)
                raise BlockferryError("SOURCE_UNVERIFIED", "It keeps no sums for the block.", whose=Whose.SOURCE)
            return sums

        try:
            return self._over_replicas(self._search(file, block, block.extent.offset, None), ask)
        except BlockferryError as error:
            if error.reason != "SOURCE_UNVERIFIED":
                raise
            return without[-1]

    def _search(self, file: Stat, block: FileBlock, offset: int, size_bytes: int | None) -> Search:
        return Search(file, block, offset, size_bytes, self._address_of)

    def _over_replicas(self, search: Search, operate: Callable[[Attempt], T]) -> T:
        return over_replicas(search, self._experience, self._layouts.renewed, operate)

    def _report_corrupt(self, search: Search) -> None:
        """Reports what differed, after another replica was good. When all differ, it may be us: as Hadoop's own client
        we report nothing then. A report that does not arrive changes nothing for the reader."""
        if corrupt := search.hosts("CHECKSUM_MISMATCH"):
            with contextlib.suppress(BlockferryError):
                self._report(only_replicas(search.block.located, corrupt, self._address_of))


def refuse_unreadable(file: Stat) -> None:
    """Raises for files whose blocks are not their content: CIPHERTEXT_REFUSED."""
    if refusal := _REFUSED.get(file.condition):
        reason, what = refusal
        raise BlockferryError(
            reason,
            f"{file.path} {what}. Leave it out, or copy it to an ordinary folder first.",
            whose=Whose.CALLER,
            path=file.path,
        )
