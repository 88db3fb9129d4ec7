"""Reads erasure-coded files: ranges of block groups, out of units that lie on different DataNodes, and their sums.

A unit's cells go straight from its DataNode to their places in the caller's view, whose checksum follows from the
cells' in file order. Units that are lost, dead, slow or corrupt are rebuilt from others (`rebuild`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from blockferry.errors import BlockferryError, Whose
from stores.base import RangeRead, Stat
from stores.checksum import Algorithm, concatenation
from stores.hdfs.addresses import AddressOf
from stores.hdfs.blocks import BlockSlice, FileBlock
from stores.hdfs.datanode import CRC_TYPE_NULL, BlockSums, DatanodeRead, Datanodes, algorithm_of
from stores.hdfs.erasure.codes import parity_matrix
from stores.hdfs.erasure.rebuild import GroupRange, Rebuild, Sums
from stores.hdfs.erasure.striping import REPLICATION_ID, Policy, UnitSlice, policy_of, unit_slices
from stores.hdfs.erasure.units import TooFewUnitsError, Units, side_by_side
from stores.hdfs.experience import Experience
from stores.hdfs.failover import Attempt, Search, over_replicas
from stores.hdfs.layouts import Layouts
from stores.hdfs.wire.hdfs_pb2 import ErasureCodingPolicyProto, LocatedBlockProto

# A DataNode that is asked for a group's sums rebuilds what is lost, and says nothing meanwhile.
SUMS_SILENCE_S = 300.0
# With packets of 1 MiB, fewer bytes a cell would be more pieces than one system call takes.
_LEAST_CELL_BYTES = 4096


class StripedReader:
    """Reads block groups. Thread safe.

    Memory beside the caller's view: what `Datanodes` says for each of `units.THREAD_COUNT` connections, and what
    `rebuild` says while units are lost.
    """

    def __init__(
        self,
        datanodes: Datanodes,
        layouts: Layouts,
        report: Callable[[LocatedBlockProto], None],
        experience: Experience,
        address_of: AddressOf,
    ) -> None:
        """Opens nothing; the arguments are those of `FileReader`."""
        self._datanodes = datanodes
        self._layouts = layouts
        self._report = report
        self._experience = experience
        self._address_of = address_of

    def holds(self, file: Stat) -> bool:
        """Returns whether a file's blocks are block groups."""
        coding = self._layouts.layout(file).erasure_coding
        return coding is not None and coding.id != REPLICATION_ID

    def read(
        self,
        file: Stat,
        offset: int,
        piece: BlockSlice,
        view: memoryview,
        algorithm: Algorithm | None,
    ) -> RangeRead:
        """Fills `view` with a slice of a block group.

        Args:
            file: it is of.
            offset: of the slice in the file, for errors.
            piece: of the group.
            view: as long as the slice.
            algorithm: of the checksum; None: the stored one.

        Raises:
            BlockferryError: SOURCE_CORRUPT, SOURCE_UNAVAILABLE (retryable), SOURCE_CHANGED,
                ERASURE_CODING_UNSUPPORTED.
        """
        policy = self._policy(file)
        slices = unit_slices(policy, piece.offset, piece.size)
        if algorithm is None and len(slices) > 1:
            algorithm = algorithm_of(self.crc_type(file, piece.block)) or Algorithm.CRC32C
        search = Search(file, piece.block, offset, piece.size, self._address_of)
        wanted = GroupRange(policy, piece.block.located.b.numBytes, slices, view, algorithm, allow_unproven=False)
        try:
            return self._read(search, wanted)
        except BlockferryError as error:
            if error.reason != "SOURCE_UNVERIFIED":
                raise
            for address in search.hosts("SOURCE_UNVERIFIED"):  # no failures: there is nothing better
                del search.failures[address]
        return self._read(search, replace(wanted, allow_unproven=True))

    def _read(self, search: Search, wanted: GroupRange) -> RangeRead:
        sums: Sums = {}
        proven = True
        for is_renewed in (False, True):
            units = self._units(search, wanted.policy, is_renewed)
            proven = self._read_slices(units, wanted, sums) and proven
            lost = [each for each in wanted.slices if each.pieces[0].place not in sums]
            try:
                if lost:
                    proven = self._rebuild(units, wanted, lost, sums) and proven
            except TooFewUnitsError:
                self._raise_unverified(search)
                continue
            for block in units.corrupt_replicas():
                with contextlib.suppress(BlockferryError):  # that it does not arrive changes nothing for the reader
                    self._report(block)
            parts = [sums[place] for place in sorted(sums)]
            return RangeRead(concatenation(parts), proven, len(search.failures))
        raise units.failed()

    def _units(self, search: Search, policy: Policy, is_renewed: bool) -> Units:
        if is_renewed:
            search.block = self._layouts.renewed(search.file, search.block)
        return Units(policy, search, self._datanodes, self._experience, is_renewed)

    def _read_slices(self, units: Units, wanted: GroupRange, sums: Sums) -> bool:
        """Reads the slices that are not in `sums`, as far as they can be had; returns whether all were proven."""
        asked = units.worth_asking()
        slices = [each for each in wanted.slices if each.pieces[0].place not in sums and each.unit in asked]

        def read(each: UnitSlice) -> DatanodeRead | None:
            cells = tuple(wanted.memory(piece) for piece in each.pieces)
            return units.read(each.unit, each.offset, cells, wanted.algorithm, wanted.allow_unproven)

        found = side_by_side([partial(read, each) for each in slices])
        for each, done in zip(slices, found, strict=True):
            if done is not None:
                for piece, checksum in zip(each.pieces, done.cells, strict=True):
                    sums[piece.place] = checksum, piece.size
        return all(done.proven for done in found if done is not None)

    def _rebuild(self, units: Units, wanted: GroupRange, lost: list[UnitSlice], sums: Sums) -> bool:
        if units.is_stale:  # the NameNode may know where they are
            raise TooFewUnitsError
        rebuild = Rebuild(wanted, units, lost)
        sums.update(rebuild.run())
        return rebuild.proven

    def _raise_unverified(self, search: Search) -> None:
        """Raises SOURCE_UNVERIFIED if units failed only because they keep no sums."""
        if unverified := search.hosts("SOURCE_UNVERIFIED"):
            raise search.failures[unverified[0]]

    def crc_type(self, file: Stat, block: FileBlock) -> int:
        """Returns the type of the sums that a group's units are kept with, as the first unit says that can be asked.

        Raises:
            BlockferryError: see `read`.
        """
        policy, nothing = self._policy(file), memoryview(bytearray())
        search = Search(file, block, block.extent.offset, 0, self._address_of)
        for is_renewed in (False, True):
            units = self._units(search, policy, is_renewed)
            for unit in sorted(units.worth_asking()):
                read = units.read(unit, 0, (nothing,), Algorithm.CRC32C, allow_unproven=True)
                if read is not None:
                    return read.crc_type
        raise units.failed()

    def sums(self, file: Stat, block: FileBlock, size_bytes: int) -> BlockSums:
        """Returns the sum of the first `size_bytes` of a group, as one of its DataNodes puts it together; it rebuilds
        lost units for that.

        Raises:
            BlockferryError: see `read`.
        """
        self._policy(file)
        coding = self._coding(file)
        search = Search(file, block, block.extent.offset, None, self._address_of)

        def ask(to: Attempt) -> BlockSums:
            limit = replace(to.limit, silence_s=SUMS_SILENCE_S)
            return self._datanodes.group_sums(to.address, to.located, coding, size_bytes, limit)

        try:
            return over_replicas(search, self._experience, self._layouts.renewed, ask)
        except BlockferryError:
            # On units without sums the DataNodes fail, each in its way.
            if self.crc_type(file, block) != CRC_TYPE_NULL:
                raise
            return BlockSums(CRC_TYPE_NULL, 0, None, ())

    def _coding(self, file: Stat) -> ErasureCodingPolicyProto:
        return self._layouts.layout(file).erasure_coding or ErasureCodingPolicyProto(id=REPLICATION_ID)

    def _policy(self, file: Stat) -> Policy:
        coding = self._coding(file)
        try:
            policy = policy_of(coding)
            if policy is None:
                raise ValueError("the policy is replication")
            if policy.cell_bytes < _LEAST_CELL_BYTES:
                raise ValueError(f"its cells have {policy.cell_bytes} bytes, and {_LEAST_CELL_BYTES} is the least")
            parity_matrix(policy.codec, policy.data_units, policy.parity_units)
        except ValueError as error:
            raise BlockferryError(
                "ERASURE_CODING_UNSUPPORTED",
                f"{file.path} is erasure-coded in a way that is not supported: {error}. Leave it out, or copy it to an "
                "ordinary folder first.",
                whose=Whose.CALLER,
                path=file.path,
            ) from error
        return policy
