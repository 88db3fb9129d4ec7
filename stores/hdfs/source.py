"""HDFS as a source: one root folder, or one file, of a cluster. Joins the NameNode's answers and the DataNodes' blocks.

Holds the connections and nothing of the tree. Never writes to HDFS but for reports of corrupt replicas.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator

from blockferry.errors import BlockferryError, Whose
from stores.base import Check, ClaimProbe, Extent, RangeRead, Stat, Stretch, source_row
from stores.checksum import Algorithm, Checksum
from stores.hdfs import entries
from stores.hdfs.addresses import by_host_name, by_ip
from stores.hdfs.config.cluster import resolve
from stores.hdfs.datanode import Datanodes
from stores.hdfs.experience import Experience, waits_of
from stores.hdfs.layouts import Layouts
from stores.hdfs.lookahead import PagesAhead, page_of
from stores.hdfs.namenode import NameNodeClient
from stores.hdfs.probe import Probed, check_location
from stores.hdfs.probe_data import DataProbe
from stores.hdfs.reader import FileReader
from stores.hdfs.security.login import ClusterLogin
from stores.hdfs.transfer.transfer_login import ClusterAnswers, TransferLogin
from stores.hdfs.tree import runs, walk
from stores.hdfs.zones.data_keys import DataKeys
from stores.hdfs.zones.encryption import ZoneReader, refuse_raw
from stores.hdfs.zones.kms import KmsLogin
from stores.hdfs.zones.zone_kms import ZoneKms
from stores.location import HdfsLocation


class HdfsSource:
    """A `Source` and `Prober`. Thread safe; connections are opened by the first call that needs one.

    Memory: a listing holds what `lookahead` says; a read holds nothing but its connection.
    """

    def __init__(self, location: HdfsLocation, timeout_s: float | None = None) -> None:
        """Reads the location's site files, if it has any, and opens no connection yet.

        Args:
            location: where.
            timeout_s: for each call, and for each time that a DataNode sends nothing. None: what the site files say,
                else 60.

        Raises:
            BlockferryError: CIPHERTEXT_REFUSED; those of `cluster.resolve` and of `login.ClusterLogin`.
        """
        self.location = location
        self.cluster = resolve(location)
        limits = self.cluster.limits
        self._root = self.cluster.root
        refuse_raw(self._root)
        self._is_file: bool | None = None
        self._login = ClusterLogin(location, self.cluster.security, self.cluster.nameservice)
        self._namenode = NameNodeClient(
            self.cluster.namenodes,
            location.user or getpass.getuser(),
            timeout_s or limits.call_s,
            patience=limits.patience,
            login=self._login,
            connect_s=limits.connect_s,
        )
        datanode_s = timeout_s or limits.datanode_s
        self._datanodes = Datanodes(f"blockferry_{os.getpid()}", datanode_s, protect=self._transfer_login().protect)
        self._address_of = by_host_name if self.cluster.use_datanode_hostname else by_ip
        self._layouts = Layouts(self._ask_layout)
        self._experience = Experience(datanode_s, waits=waits_of(self.cluster.hedged_reads))
        stored = FileReader(
            self._datanodes,
            self._layouts,
            self._namenode.report_bad_blocks,
            self._experience,
            self._address_of,
        )
        self._kms = ZoneKms(
            self.cluster, location.conf_dir, KmsLogin(location.user, self._login.kerberos), self._key_provider
        )
        self._reader = ZoneReader(stored, self._layouts, DataKeys(self._kms.decrypt))

    def close(self) -> None:
        """Closes every connection."""
        self._namenode.close()
        self._datanodes.close()
        self._kms.close()

    def list_tree(self, after: str = "") -> Iterator[Stat]:
        """See `Lister.list_tree`; entries come with attributes, version, layout and condition.

        Raises:
            BlockferryError: NOT_FOUND for the root; LIST_FAILED when a folder is gone while the tree is listed;
                ACCESS_DENIED, NAMENODE_UNAVAILABLE, and other words of the NameNode.
        """
        if (file := self._root_file()) is not None:
            if file.path > after:
                yield file
            return
        pages: PagesAhead[Stat] = PagesAhead(self._fetch_page, self._absolute)
        try:
            yield from walk(pages, after)
        finally:
            pages.close()

    def list_stretches(self, after: str) -> Iterator[Stretch]:
        """See `QuickLister.list_stretches`. Raises what `list_tree` raises."""
        if (file := self._root_file()) is not None:
            if file.path > after:
                yield Stretch((file.path,), (source_row(file),), (file,).__getitem__)
            return
        pages = PagesAhead(self._fetch_page, self._absolute, entries.listed_of)
        try:
            yield from map(entries.stretch_of, runs(pages, after))
        finally:
            pages.close()

    def list_folder(self, folder: str, after: str) -> Iterator[tuple[Stat, ...]]:
        """See `Lister.list_folder`. Entries come as `list_tree` gives them.

        Raises:
            BlockferryError: LIST_FAILED when the folder is gone, ACCESS_DENIED, and other words of the NameNode.
        """
        start, has_more = after[len(folder) :], True
        while has_more:
            frame = self._fetch_page(folder, start.encode())
            page = page_of(frame, folder, self._absolute(folder), entries.stats_of)
            has_more = page.has_more
            if page.stats:
                yield tuple(page.stats)
                start = page.stats[-1].path[len(folder) :].rstrip("/")

    def stat(self, path: str) -> Stat | None:
        """See `Lister.stat`. The same as the listing tells, with one call."""
        absolute = self._absolute(path)
        try:
            entry = self._namenode.get_located_file_info(absolute)
        except BlockferryError as error:
            if error.reason == "NOT_FOUND":  # a folder on the way is a file now
                return None
            raise
        if entry is None or entries.is_folder(entry) != path.endswith("/"):
            return None
        if entries.is_folder(entry):
            return entries.folder_stat(path, entry)
        return entries.file_stat(path, entry.fileType, entry)

    def extents(self, file: Stat) -> tuple[Extent, ...]:
        """See `Source.extents`."""
        return self._reader.extents(file)

    def claimed_algorithm(self, file: Stat) -> Algorithm:
        """See `Source.claimed_algorithm`. Asks one DataNode for each block until one is not CRC32."""
        return self._reader.claimed_algorithm(file)

    def read_into(self, file: Stat, offset: int, view: memoryview, algorithm: Algorithm | None) -> RangeRead:
        """See `Source.read_into`."""
        return self._reader.read_into(file, offset, view, algorithm)

    def stored_checksum(self, file: Stat, offset: int, size: int, algorithm: Algorithm) -> Checksum | None:
        """See `Source.stored_checksum`."""
        return self._reader.stored_checksum(file, offset, size, algorithm)

    def checks(self, write: bool) -> tuple[Check, ...]:
        """See `Prober.checks`. A source is not written to, whatever `write` says."""
        namenode = self._namenode.impatient()
        data = DataProbe(
            self.list_tree,
            namenode,
            self._kms,
            self._layouts,
            self._reader,
            self._datanodes,
            self._address_of,
        )
        return check_location(Probed(self._root, namenode, self._login, data))

    def probe_claims(self) -> ClaimProbe:
        """A source takes no claims."""
        return ClaimProbe(trusted=True)

    def _absolute(self, path: str) -> str:
        """Returns the path in HDFS; the root's own for the file's name where the root is one file."""
        if path and path == self._root.rpartition("/")[2] and self._root_is_file():
            return self._root
        return f"{self._root}/{path}".rstrip("/") or "/"

    def _root_file(self) -> Stat | None:
        """Returns the file that the root is; None where it is a folder. Raises NOT_FOUND."""
        root = self._namenode.get_located_file_info(self._root or "/")
        if root is None:
            raise self._missing_root()
        return (
            None if entries.is_folder(root) else entries.file_stat(self._root.rpartition("/")[2], root.fileType, root)
        )

    def _root_is_file(self) -> bool:
        """Asks only once whether it is, and only when an entry has the root's name."""
        if self._is_file is None:
            root = self._namenode.get_file_info(self._root or "/")
            self._is_file = root is not None and not entries.is_folder(root)
        return self._is_file

    def _fetch_page(self, folder: str, start_after: bytes) -> bytes:
        return self._namenode.listing_frame(self._absolute(folder), start_after)

    def _transfer_login(self) -> TransferLogin:
        answers = ClusterAnswers(
            lambda: self._login.is_secure,
            lambda: self._namenode.get_server_defaults().encryptDataTransfer,
            self._namenode.get_data_encryption_key,
        )
        return TransferLogin(self.cluster.security, answers)

    def _key_provider(self) -> str:
        return self._namenode.get_server_defaults().keyProviderUri

    def _ask_layout(self, path: str, size_bytes: int) -> bytes | None:
        return self._namenode.get_block_locations(self._absolute(path), size_bytes)

    def _missing_root(self) -> BlockferryError:
        return BlockferryError(
            "NOT_FOUND",
            f"{self.location.uri} does not exist. Check the path, and that the NameNode is that of the right cluster.",
            whose=Whose.CALLER,
            path=self._root or "/",
            host=",".join(self.cluster.namenodes),
        )
