"""Ids that are the same but for how they are written."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import normalize

import numpy as np


def normal_form(name: str) -> str:
    """An id without what spellings differ in: case, Unicode composition (NFC), surrounding blanks, leading zeros."""
    plain = normalize("NFC", normalize("NFC", name).casefold()).strip()
    return plain.lstrip("0") or plain[-1:]


class Spellings:
    """Finds ids by their normal form. Reads all of them once; afterwards it takes 16 bytes for each.

    names: of the rows, None where there is none. Names that are dropped from it later are found no more.
    """

    def __init__(self, names: Sequence[str | None]) -> None:
        self._names = names
        hashes = np.fromiter((_hash(name) for name in names if name is not None), dtype=np.int64)
        rows = np.array([row for row, name in enumerate(names) if name is not None], dtype=np.int64)
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._rows = hashes[order], rows[order]

    def has_other(self, name: str) -> bool:
        """Whether there is an id with the same normal form that is not this very one."""
        first, last = np.searchsorted(self._hashes, _hash(name)), np.searchsorted(self._hashes, _hash(name), "right")
        others = (self._names[row] for row in self._rows[first:last])
        return any(other not in (None, name) and normal_form(str(other)) == normal_form(name) for other in others)


def _hash(name: str) -> np.int64:
    return np.int64(hash(normal_form(name)))
