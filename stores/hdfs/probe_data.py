"""Tries what brings a location's content: its KMS, every DataNode, a read, and what its checksums are good for.

A file below the root is the sample: with its block's token each DataNode is asked, so that login, protection and token
are tried there as a read does it. Changes nothing, and keeps nothing of what it reads.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice

from blockferry.errors import BlockferryError
from stores.base import Check, Kind, Stat
from stores.checksum import Algorithm
from stores.hdfs.addresses import Address, AddressOf, shown
from stores.hdfs.blocks import blocks_of
from stores.hdfs.datanode import BlockSums, Datanodes, algorithm_of
from stores.hdfs.layouts import Layouts
from stores.hdfs.namenode import NameNodeClient
from stores.hdfs.transfer.stopwatch import Limit
from stores.hdfs.wire.hdfs_pb2 import DatanodeIDProto, DatanodeInfoProto, LocatedBlockProto
from stores.hdfs.zones.encryption import ZoneReader
from stores.hdfs.zones.zone_kms import ZoneKms

_WAIT_S = 5.0
_LIMIT = Limit(silence_s=_WAIT_S, connect_s=_WAIT_S)
_ENTRY_COUNT = 1_000
_SAMPLE_COUNT = 5
_THREAD_COUNT = 16
_READ_BYTES = 1 << 20
_SHOWN_LIVE = "Check the DataNodes' processes and the NameNode's page of DataNodes."
# It answered, in our protocol: only this block is not there, or not whole.
_ANSWERS = frozenset({"REPLICA_MISSING", "REPLICA_UNREADABLE", "SOURCE_UNVERIFIED"})


def failed(step: str, error: BlockferryError) -> Check:
    """Returns the step that failed with an error."""
    return Check(step, False, error.message, error.reason)


@dataclass(frozen=True, slots=True)
class _Sample:
    """A file that we may read. `block` is its first one with a fresh token; None for erasure-coded files, whose blocks
    are groups."""

    file: Stat
    block: LocatedBlockProto | None


@dataclass(frozen=True, slots=True)
class DataProbe:
    """The parts of a source that bring content. `list_tree` is that of the source."""

    list_tree: Callable[[], Iterator[Stat]]
    namenode: NameNodeClient
    kms: ZoneKms
    layouts: Layouts
    reader: ZoneReader
    datanodes: Datanodes
    address_of: AddressOf

    def checks(self) -> tuple[Check, ...]:
        """Returns the steps that were tried."""
        try:
            seen = tuple(islice(self.list_tree(), _ENTRY_COUNT))
        except BlockferryError as error:
            return (*self._keys(), failed("read", error))
        files = tuple(stat for stat in seen if stat.kind is Kind.FILE and stat.size_bytes)
        sample, refusal = self._sample(files)
        nodes = self._datanodes(files, sample.block if sample else None)
        return (*self._keys(), *nodes, *self._content(sample, refusal))

    # ---- KMS -------------------------------------------------------------------------------------------------------

    def _keys(self) -> tuple[Check, ...]:
        try:
            found = self.kms.greet()
        except BlockferryError as error:
            return (failed("kms", error),)
        return tuple(_greeted(host, error) for host, error in found)

    # ---- DataNodes -------------------------------------------------------------------------------------------------

    def _sample(self, files: tuple[Stat, ...]) -> tuple[_Sample | None, BlockferryError | None]:
        """Returns the first file that we may read, replicated ones first; else what refused the last that was tried."""
        refusal = None
        for file in sorted(files, key=lambda stat: stat.condition.is_encrypted)[:_SAMPLE_COUNT]:
            try:
                layout = self.layouts.renew(file)
            except BlockferryError as error:
                refusal = error
                continue
            return _Sample(file, None if layout.erasure_coding else layout.blocks[0].located), None
        return None, refusal

    def _datanodes(self, files: tuple[Stat, ...], block: LocatedBlockProto | None) -> tuple[Check, ...]:
        foreign: frozenset[Address] = frozenset()
        try:
            live = self.namenode.get_live_datanodes()
            found: tuple[DatanodeIDProto, ...] = tuple(info.id for info in live)
            foreign = _of_other_namespaces(live, block)
        except BlockferryError as error:
            if error.reason != "ACCESS_DENIED":  # clusters may keep the report for their superusers
                return (failed("datanodes", error),)
            found = tuple(_holders(files, block))
            if not found:
                return (Check("datanodes", True, "Not tried: the NameNode does not tell this user its DataNodes."),)
        if not found:
            return (Check("datanodes", False, f"No DataNode is alive. {_SHOWN_LIVE}", "DATANODE_UNAVAILABLE"),)
        with ThreadPoolExecutor(min(_THREAD_COUNT, len(found))) as threads:
            asked = [(node, None if (node.ipAddr, node.xferPort) in foreign else block) for node in found]
            return tuple(threads.map(lambda ask: self._datanode(*ask), asked))

    def _datanode(self, node: DatanodeIDProto, block: LocatedBlockProto | None) -> Check:
        address = self.address_of(node)
        step = f"datanode {shown((node.hostName, address[1]))}"
        try:
            if block is None:
                socket.create_connection(address, _WAIT_S).close()
                return Check(
                    step, True, f"{shown(address)} accepts connections; there is no block that it could be asked for."
                )
            self._ask(address, block)
        except OSError as error:
            return Check(step, False, _unreachable(node, address, str(error)), "DATANODE_UNAVAILABLE")
        except BlockferryError as error:
            if error.reason not in _ANSWERS:
                cause = str(error.__cause__ or error.message)
                is_gone = error.reason == "DATANODE_UNAVAILABLE"
                message = _unreachable(node, address, cause) if is_gone else error.message
                return Check(step, False, message, error.reason)
        return Check(step, True, f"{shown(address)} answers, and takes our login and our token for a block.")

    def _ask(self, address: Address, block: LocatedBlockProto) -> None:
        nothing = memoryview(bytearray())
        self.datanodes.read(address, block, 0, nothing, Algorithm.CRC32C, allow_unproven=True, limit=_LIMIT)

    # ---- content ---------------------------------------------------------------------------------------------------

    def _content(self, sample: _Sample | None, refusal: BlockferryError | None) -> tuple[Check, ...]:
        if sample is None and refusal is not None:
            return (failed("read", refusal),)
        if sample is None:
            return (Check("read", True, f"Not tried: there is no content in the first {_ENTRY_COUNT} entries."),)
        try:
            read = Check("read", True, self._read(sample.file))
        except BlockferryError as error:
            return (failed("read", error),)
        try:
            return (read, Check("checksums", True, self._abilities(sample)))
        except BlockferryError as error:
            return (read, failed("checksums", error))

    def _read(self, file: Stat) -> str:
        view = memoryview(bytearray(min(_READ_BYTES, file.size_bytes)))
        found = self.reader.read_into(file, 0, view, None)
        how = "and held against HDFS's checksums" if found.proven else "with no checksums to hold them against"
        decrypted = ", and decrypted" if file.condition.is_encrypted else ""
        return f"{len(view)} bytes of {file.path} were read {how}{decrypted}."

    def _abilities(self, sample: _Sample) -> str:
        file = sample.file
        if file.condition.is_encrypted:
            return "What DataNodes keep is of the ciphertext: checking an encrypted file means reading it."
        if sample.block is None:
            algorithm = self.reader.claimed_algorithm(file)
            is_told = self.reader.stored_checksum(file, 0, file.size_bytes, algorithm) is not None
            return _TOLD if is_told else _UNTOLD
        sums = self._sums(sample.block)
        if sums.uncombined:
            return f"{_UNTOLD} They are older than Hadoop 3.1.1: checking a file means reading it."
        if sums.crc is None:
            return f"{file.path} has no checksums (type NULL): nothing proves what is read of such files."
        return f"{_TOLD} They are {algorithm_of(sums.crc_type)} of {sums.bytes_per_crc} bytes each."

    def _sums(self, block: LocatedBlockProto) -> BlockSums:
        failure: BlockferryError | None = None
        for info in block.locs:
            copy = LocatedBlockProto.FromString(block.SerializeToString())  # asking writes the length into it
            try:
                return self.datanodes.block_sums(self.address_of(info.id), copy, block.b.numBytes, limit=_LIMIT)
            except BlockferryError as error:
                failure = error
        raise failure or BlockferryError("SOURCE_UNAVAILABLE", f"No DataNode has the block. {_SHOWN_LIVE}")


_TOLD = "DataNodes combine the checksums that they keep: checking a file moves no data."
_UNTOLD = "DataNodes keep checksums and do not combine them."


def _of_other_namespaces(live: Iterable[DatanodeInfoProto], block: LocatedBlockProto | None) -> frozenset[Address]:
    """Returns the DataNodes that do not know the block's pool. A router puts the nameservice before the location of
    each DataNode in its report (RouterClientProtocol.getDatanodeReport), not of those of a block."""
    if block is None:
        return frozenset()
    locations = {(info.id.ipAddr, info.id.xferPort): info.location for info in live}
    holders = {(info.id.ipAddr, info.id.xferPort): info.location for info in block.locs}
    prefixes = {
        locations[address].removesuffix(location) for address, location in holders.items() if address in locations
    }
    return frozenset(
        address for address, location in locations.items() if not location.startswith(tuple(prefixes or {""}))
    )


def _greeted(host: str, error: BlockferryError | None) -> Check:
    step = f"kms {host}"
    return Check(step, True, f"The KMS {host} knows us.") if error is None else failed(step, error)


def _unreachable(node: DatanodeIDProto, address: Address, why: str) -> str:
    return (
        f"The DataNode {node.hostName} cannot be used at {shown(address)} ({why}). Blocks are read from every DataNode "
        "directly: open that port from here to it, and check its process."
    )


def _holders(files: Iterable[Stat], block: LocatedBlockProto | None) -> Iterator[DatanodeIDProto]:
    """Yields each DataNode that holds the block, or one of the files as they were listed, once."""
    listed = (found.located for file in files if file.layout for found in blocks_of(file.layout, file.size_bytes))
    known = chain(listed, () if block is None else (block,))
    nodes = {(info.id.ipAddr, info.id.xferPort): info.id for located in known for info in located.locs}
    yield from nodes.values()
