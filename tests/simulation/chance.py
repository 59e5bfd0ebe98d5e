"""Decisions that depend on a seed and on what is decided, not on which thread asks first."""

from __future__ import annotations

import hashlib
from collections import Counter
from threading import Lock


class Chance:
    """The n-th question of the same words has the same answer in every run of a seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._asked: Counter[str] = Counter()
        self._lock = Lock()

    def of(self, *words: object) -> float:
        """A number in [0, 1)."""
        what = " ".join(map(str, words))
        with self._lock:
            number = self._asked[what]
            self._asked[what] += 1
        drawn = hashlib.blake2b(f"{self._seed} {number} {what}".encode(), digest_size=8).digest()
        return int.from_bytes(drawn) / 2**64
