"""Where the blocks of the files lie that are being read: from the listing first, from the NameNode when that was wrong.

Keeps the blocks of the last `KEPT_COUNT` files, so that the parts of a large file do not parse its layout again (0.9 us
a block), and so that what was asked anew for one part serves the next ones too.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from blockferry.errors import BlockferryError, Whose
from stores.base import Stat
from stores.hdfs.blocks import FileBlock, FileLayout, layout_of

KEPT_COUNT = 64
# So many files may be asked for at once.
_ASKING_COUNT = 256

# Asks the NameNode for the layout of a file (relative path) up to a size in bytes; None: there is no such file.
AskLayout = Callable[[str, int], bytes | None]


class Layouts:
    """Blocks by file. Thread safe."""

    def __init__(self, ask: AskLayout) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str, int], FileLayout] = OrderedDict()
        self._needs_tokens = False
        self._asking = tuple(threading.Lock() for _ in range(_ASKING_COUNT))

    def blocks(self, file: Stat) -> tuple[FileBlock, ...]:
        """Returns the file's blocks in order; see `layout`."""
        return self.layout(file).blocks

    def layout(self, file: Stat) -> FileLayout:
        """Returns the file's blocks, and how they hold its content; asks the NameNode if the file comes without.

        Raises:
            BlockferryError: SOURCE_CHANGED when the file is gone, or is not as long any more.
        """
        if kept := self._kept_of(file):
            return kept
        if file.layout:
            listed = self._keep(file, file.layout)
            if not (self._needs_tokens and _is_bare(listed.blocks)):
                return listed
        with self._asking[hash(_key(file)) % _ASKING_COUNT]:
            kept = self._kept_of(file)
            return kept if kept and not (self._needs_tokens and _is_bare(kept.blocks)) else self.renew(file)

    def _kept_of(self, file: Stat) -> FileLayout | None:
        with self._lock:
            if (kept := self._kept.get(_key(file))) is not None:
                self._kept.move_to_end(_key(file))
            return kept

    def renew(self, file: Stat) -> FileLayout:
        """Returns the file's layout as the NameNode knows it now, with fresh tokens.

        Raises:
            BlockferryError: SOURCE_CHANGED.
        """
        try:
            layout = self._ask(file.path, file.size_bytes)
        except BlockferryError as error:
            if error.reason == "NOT_FOUND":
                raise _changed(file, "was deleted or renamed") from error
            raise
        if layout is None:
            raise _changed(file, "was deleted or renamed")
        return self._keep(file, layout)

    def renewed(self, file: Stat, block: FileBlock) -> FileBlock:
        """Returns the same block of the file as the NameNode knows it now.

        Several threads that find the same layout out of date ask once: it is renewed as a whole. Listings have no block
        tokens. When the NameNode gives some, listed layouts are not tried any more.

        Raises:
            BlockferryError: SOURCE_CHANGED when there is another block now, or another generation of it.
        """
        for now in self._newer_than(file, block).blocks:
            if now.extent.offset == block.extent.offset:
                if (now.block_id, now.generation) == (block.block_id, block.generation):
                    self._needs_tokens = self._needs_tokens or not _is_bare((now,))
                    return now
                found = f"block {now.block_id} of generation {now.generation}"
                expected = f"block {block.block_id} of generation {block.generation}"
                raise _changed(file, f"has {found} at {block.extent.offset}, no longer {expected}", block)
        raise _changed(file, f"has no block at {block.extent.offset} any more", block)

    def _newer_than(self, file: Stat, block: FileBlock) -> FileLayout:
        with self._asking[hash(_key(file)) % _ASKING_COUNT]:
            kept = self._kept_of(file)
            if kept is not None and any(_is_other(now, block) for now in kept.blocks):
                return kept
            return self.renew(file)

    def _keep(self, file: Stat, layout: bytes) -> FileLayout:
        try:
            found = layout_of(layout, file.size_bytes)
        except ValueError as error:
            raise _changed(file, f"is not as it was ({error})") from error
        with self._lock:
            self._kept[_key(file)] = found
            while len(self._kept) > KEPT_COUNT:
                self._kept.popitem(last=False)
        return found


def _key(file: Stat) -> tuple[str, str, int]:
    return file.path, file.version, file.size_bytes


def _is_bare(blocks: tuple[FileBlock, ...]) -> bool:
    """Returns whether the blocks come without tokens."""
    return all(not block.located.blockToken.identifier for block in blocks[:1])


def _is_other(now: FileBlock, block: FileBlock) -> bool:
    return now.extent.offset == block.extent.offset and now.located != block.located


def _changed(file: Stat, what: str, block: FileBlock | None = None) -> BlockferryError:
    error = BlockferryError(
        "SOURCE_CHANGED",
        f"The file {file.path} {what}: it changed since it was listed. Run again to transfer it as it is now.",
        whose=Whose.SOURCE,
        path=file.path,
    )
    if block is not None:
        error.coordinates |= {"block_id": str(block.block_id), "offset": str(block.extent.offset)}
    return error
