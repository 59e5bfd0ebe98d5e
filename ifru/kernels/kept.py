"""Where compiled loops are kept on disk, for later processes: beside the package, or in the folder NUMBA_CACHE_DIR.

What is in the folder IFRU_COMPILED is used as well, and nothing is written there: an image can carry it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile


class Kept(FunctionCache):  # type: ignore[misc]
    """As numba keeps them, but an entry is of all files here, since loops are put together from several; and processes
    that compile at the same time take turns: two precisions of a loop could get the same file otherwise."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file._source_stamp = _stamp()
        own = str(self.cache_path)
        carried = Path(os.environ.get("IFRU_COMPILED", own)) / Path(own).name
        self._carried = IndexDataCacheFile(str(carried), self._impl.filename_base, _stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        with self._turn(fcntl.LOCK_SH):
            found = super().load_overload(sig, target_context)
        if found is None:
            data = self._carried.load(self._index_key(sig, target_context.codegen()))
            found = None if data is None else self._impl.rebuild(target_context, data)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        with self._turn(fcntl.LOCK_EX):
            super().save_overload(sig, data)

    @contextmanager
    def _turn(self, kind: int) -> Iterator[None]:
        try:
            file = os.open(Path(self.cache_path) / "turn.lock", os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            # Nothing is written where nothing can be.
            yield
            return
        try:
            fcntl.flock(file, kind)
            yield
        finally:
            os.close(file)


@cache
def _stamp() -> bytes:
    files = sorted(Path(__file__).parent.glob("*.py"))
    return sha256(b"".join(sha256(each.read_bytes()).digest() for each in files)).digest()
