"""A folder on any pyarrow.fs file system, whose files appear whole or not at all. Knows nothing of what they hold."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from blockferry.errors import BlockferryError, Whose


class Folder:
    """A folder by absolute path or URI. On local disks a file is written beside its place, synced and renamed; object
    stores show an object only when it is complete."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/") or "/"
        try:
            self._fs, self._root = fs.FileSystem.from_uri(uri)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise BlockferryError(
                "LEDGER_URI_INVALID",
                "the folder is neither an absolute path nor a URI that pyarrow knows; give one of them",
                whose=Whose.CALLER,
                path=uri,
                detail=error,
            ) from error
        self._root = self._root.rstrip("/")
        self._is_local = isinstance(self._fs, fs.LocalFileSystem)

    def place(self, name: str) -> str:
        """Returns the full path of a file, as people are told it."""
        return f"{self.uri.rstrip('/')}/{name}"

    def write(self, name: str, content: pa.Buffer | bytes) -> None:
        """Writes a file whole, over an older one of that name. Raises OSError."""
        if self._is_local:
            self._write_local(Path(self._root) / name, content)
            return
        with self._fs.open_output_stream(f"{self._root}/{name}") as stream:
            stream.write(content)

    def open(self, name: str) -> pa.NativeFile:
        """Opens a file for reading from its begin. Raises FileNotFoundError, OSError."""
        return self._fs.open_input_stream(f"{self._root}/{name}", compression=None)

    def read(self, name: str) -> pa.Buffer:
        """Returns a file's content. Raises FileNotFoundError, OSError."""
        with self.open(name) as stream:
            return pa.py_buffer(stream.read())

    def create(self, name: str) -> pa.NativeFile:
        """Opens a file for writing, over an older one. It may be seen before it is complete: see `rename`."""
        if self._is_local:
            (Path(self._root) / name).parent.mkdir(parents=True, exist_ok=True)
        return self._fs.open_output_stream(f"{self._root}/{name}", compression=None)

    def rename(self, name: str, new_name: str) -> None:
        """Gives a file another name, over an older one. Atomic on local disks."""
        self._fs.move(f"{self._root}/{name}", f"{self._root}/{new_name}")

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
            self._fs.delete_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return

    @property
    def is_local(self) -> bool:
        """True if files can be renamed at no cost."""
        return self._is_local

    def _write_local(self, target: Path, content: pa.Buffer | bytes) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            with scratch.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(target)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
