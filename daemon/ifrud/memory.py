"""How the memory that the process may take is divided: among cached curvature, solves, proofs and what is remembered.

What an engine and a proof take besides was measured by `python -m benchmarks.limited`; N interactions, R·K numbers in
the model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from ifru.interactions import Dataset
from ifru.objective.parameters import Parameters
from ifru.proof import ProofError
from ifrud.freed import release_freed

USABLE = 0.9
"""Share of the limit that is divided; the rest is for what is not foreseen."""

_MIB = 1 << 20
_PAGE = 4096

log = structlog.stdlib.get_logger("ifrud")


class ProofTooLarge(ProofError):
    """A proof that the memory has no room for."""

    def __init__(self, needed: float, left: float, total: int) -> None:
        super().__init__(
            f"a proof takes about {_mib(needed)}, and about {_mib(max(left, 0))} are left of {_mib(total)} that may be "
            "taken; allow more memory, or set prove to false"
        )


def resident() -> int:
    """Bytes of this process that are in memory; 0 where the system does not tell."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * _PAGE if statm.exists() else 0


class Memory:
    """One limit, divided.

    total: bytes that the process may take; None: no limit. most: of the curvature cache, and of the inverse blocks of a
    proof where there is no limit. resident: what is taken now.
    """

    def __init__(
        self, total: int | None = None, most: int = sys.maxsize, resident: Callable[[], int] = resident
    ) -> None:
        self._total = total
        self._most = most
        self._resident = resident
        self._engine = 0.0
        self._cache: int | None = None
        self.remembered: Callable[[], int] = lambda: 0
        """Bytes that remembered requests take, which grow; not yet when the engine's share was divided."""

    def for_cache(self, parameters: Parameters, dataset: Dataset) -> int:
        """Bytes for cached curvature; a solve takes as much again. First asked with the model in memory, and no engine.

        An eighth of what model and engine leave for each of the two, so that a proof has three quarters; where that is
        not enough for it, a third each.
        """
        if self._total is None or self._cache is not None:
            return self._cache or self._most
        release_freed()
        taken = self._resident() + _of_engine(parameters, dataset)
        left = max(USABLE * self._total - taken, 0)
        proves = _of_proof(parameters, dataset) <= 0.75 * left
        cache = self._cache = max(int(min(left / (8 if proves else 3), self._most)), 1)
        self._engine = taken + 2 * cache
        log.info(
            f"of {_mib(self._total)} that may be taken, model, data and engine take about {_mib(taken)}; cached "
            f"curvature takes up to {_mib(cache)}, a solve as much again, and a proof "
            f"{'the rest' if proves else 'has no room'}"
        )
        return self._cache

    def for_proof(self, parameters: Parameters, dataset: Dataset) -> float:
        """Bytes for the inverse blocks of a proof. Raises ProofTooLarge where the rest of it has no room."""
        if self._total is None:
            return self._most
        needed = _of_proof(parameters, dataset)
        left = USABLE * self._total - max(self._resident(), self._engine + self.remembered())
        if needed > left:
            raise ProofTooLarge(needed, left, self._total)
        return min(left - needed, self._most)

    def tidy(self) -> None:
        """Give back what was freed, where memory is limited."""
        if self._total is not None:
            release_freed()


def _of_engine(parameters: Parameters, dataset: Dataset) -> float:
    return 64 * _MIB + 60 * len(dataset.train) + 14 * 4 * _numbers(parameters)


def _of_proof(parameters: Parameters, dataset: Dataset) -> float:
    return 192 * _MIB + 200 * len(dataset.train) + 16 * 8 * _numbers(parameters)


def _numbers(parameters: Parameters) -> int:
    return sum(tensor.numel() for tensor in (*parameters.tables.values(), *parameters.shared.values()))


def _mib(size: float) -> str:
    return f"{size / _MIB:,.0f} MiB"
