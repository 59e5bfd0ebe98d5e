"""A local folder as a store.

What a bucket promises by itself is done here by hand: a file appears whole or not at all, and is on the disk, with
every folder above it, when the call returns.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from ifru.stores.errors import AlreadyExists, NotFound, StoreError

STAGING = ".staging"
"""The folder for files that are being written; what a crash leaves there is never read. Only itself lists them."""


class LocalStore:
    """Implements `Store` on a folder, which is created where it is missing. Needs hard links."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._synced: set[Path] = set()
        with self._errors("open", ""):
            missing = [folder for folder in (root, *root.parents) if not folder.exists()]
            root.mkdir(parents=True, exist_ok=True)
            for folder in missing:
                _sync(folder.parent)

    def get(self, path: str) -> bytes:
        with self._errors("read", path):
            try:
                return (self._root / path).read_bytes()
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
                raise NotFound(f"{self._root / path}: there is no such file") from error

    def put(self, path: str, data: bytes) -> None:
        with self._errors("write", path), self._staged(data) as staged:
            target = self._target(path)
            staged.replace(target)
            self._sync_folders(target)

    def create(self, path: str, data: bytes) -> None:
        with self._errors("create", path), self._staged(data) as staged:
            target = self._target(path)
            try:
                target.hardlink_to(staged)
            except FileExistsError as error:
                raise AlreadyExists(f"{target}: exists already") from error
            self._sync_folders(target)

    def list(self, folder: str) -> list[str]:
        with self._errors("list", folder):
            found = (self._root / folder).rglob("*")
            paths = (path.relative_to(self._root) for path in found if path.is_file())
            return sorted(path.as_posix() for path in paths if (path.parts[0] == STAGING) == (folder == STAGING))

    def delete(self, path: str) -> None:
        with self._errors("delete", path):
            target = self._root / path
            if path.startswith(f"{STAGING}/"):
                _remove_abandoned(target)
            elif target.exists():
                target.unlink(missing_ok=True)
                _sync(target.parent)

    def exists(self, path: str) -> bool:
        with self._errors("look for", path):
            return (self._root / path).is_file()

    @contextmanager
    def _staged(self, data: bytes) -> Iterator[Path]:
        """A file with these bytes, on the disk, outside every listed folder, and locked for as long as we live."""
        folder = self._root / STAGING
        folder.mkdir(exist_ok=True)
        with closing(_locked(folder)) as file:
            staged = Path(file.name)
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                yield staged
            finally:
                staged.unlink(missing_ok=True)

    def _target(self, path: str) -> Path:
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _sync_folders(self, target: Path) -> None:
        """Put a file's entry on the disk, with the folders that lead to it."""
        folder = target.parent
        _sync(folder)
        while folder != self._root and folder not in self._synced:
            _sync(folder.parent)
            if folder.parent == self._root:
                # Once in each process: another one may have made the folder and died before it got here.
                self._synced.add(folder)
            folder = folder.parent

    @contextmanager
    def _errors(self, doing: str, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"{self._root / path}: cannot {doing} it: {error.strerror}") from error


def _locked(folder: Path) -> BinaryIO:
    """A new file that this process holds a lock on, which ends with the process."""
    while True:
        file = (folder / uuid4().hex).open("xb")
        # Some file systems have no locks. On these nothing is ever taken for abandoned.
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        # Somebody took it for abandoned in between.
        file.close()


def _remove_abandoned(staged: Path) -> None:
    """Remove a file that nobody writes any more; one whose writer may still be alive stays."""
    with suppress(OSError), staged.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        staged.unlink()
        _sync(staged.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
