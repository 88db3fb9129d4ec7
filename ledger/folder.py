"""A folder on any pyarrow.fs file system, whose files appear whole or not at all. Knows nothing of what they hold."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
from pyarrow import fs

from blockferry.errors import BlockferryError, Whose


def shown(text: str) -> str:
    """Returns a text without the keys and parameters of the URIs in it: they can hold secrets."""
    return re.sub(r"\?\S*", "", re.sub(r"://[^@/\s]*@", "://", text))


class Folder:
    """A folder by absolute path or URI. On local disks a file is written beside its place, synced and renamed; object
    stores show an object only when it is complete."""

    def __init__(self, uri: str) -> None:
        try:
            self._fs, self._root = fs.FileSystem.from_uri(uri)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise BlockferryError(
                "LEDGER_URI_INVALID",
                "the folder is neither an absolute path nor a URI that pyarrow knows; give one of them",
                whose=Whose.CALLER,
                path=shown(uri),
                detail=shown(str(error)),
            ) from error
        self._root = self._root.rstrip("/")
        self._is_local = isinstance(self._fs, fs.LocalFileSystem)

    def place(self, name: str = "") -> str:
        """Returns the full path of a file, or of the folder, as people are told it: without keys and parameters."""
        scheme = "" if self._is_local else f"{self._fs.type_name}://"
        return scheme + (f"{self._root}/{name}" if name else self._root)

    def write(self, name: str, content: pa.Buffer | bytes) -> None:
        """Writes a file whole, over an older one of that name. Raises OSError."""
        if self._is_local:
            self._write_local(name, content)
            return
        with self._fs.open_output_stream(self._full(name), compression=None) as stream:
            stream.write(content)

    def open(self, name: str) -> pa.NativeFile:
        """Opens a file for reading from its begin. Raises FileNotFoundError, OSError."""
        return self._fs.open_input_stream(self._full(name), compression=None)

    def read(self, name: str) -> pa.Buffer:
        """Returns a file's content. Raises FileNotFoundError, OSError."""
        with self.open(name) as stream:
            return pa.py_buffer(stream.read())

    @contextmanager
    def replacing(self, name: str) -> Iterator[BinaryIO]:
        """Opens a file for writing in a stream, over an older one. Raises OSError.

        When the block raises, a local disk keeps the older file; an object store may keep a part of the new one.
        """
        scratch = self._scratch_name(name) if self._is_local else name
        if self._is_local:
            Path(self._full(name)).parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._fs.open_output_stream(self._full(scratch), compression=None) as stream:
                yield cast(BinaryIO, stream)
            if scratch != name:
                Path(self._full(scratch)).replace(self._full(name))
        except BaseException:
            self.delete(scratch)
            raise

    def names(self, below: str) -> tuple[str, ...]:
        """Returns the names of the files directly in the folder `below`, sorted; none when there is no such folder."""
        infos = self._fs.get_file_info(fs.FileSelector(f"{self._root}/{below}", allow_not_found=True))
        return tuple(
            sorted(
                info.base_name for info in infos if info.type == fs.FileType.File and not info.base_name.startswith(".")
            )
        )

    def delete(self, name: str) -> None:
        """Deletes a file; none there is no error."""
        try:
            self._fs.delete_file(self._full(name))
        except FileNotFoundError:
            return

    def _full(self, name: str) -> str:
        return f"{self._root}/{name}"

    @staticmethod
    def _scratch_name(name: str) -> str:
        below, slash, last = name.rpartition("/")
        return f"{below}{slash}.{last}.{uuid.uuid4().hex}"

    def _write_local(self, name: str, content: pa.Buffer | bytes) -> None:
        target, scratch = Path(self._full(name)), Path(self._full(self._scratch_name(name)))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with scratch.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(target)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
