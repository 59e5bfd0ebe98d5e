"""How the memory that the process may take is divided: among cached curvature, solves, proofs and what is remembered.

What an engine and a proof take besides their inverse blocks was measured by `python -m benchmarks.limited`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from ifru.curvature.factors import most_factors
from ifru.interactions import Dataset
from ifru.models import ModelConfig, model_of
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

    def for_cache(self, config: ModelConfig, parameters: Parameters, dataset: Dataset) -> int:
        """Bytes for cached curvature; a solve takes as much again at most. First asked with the model in memory, and no
        engine.

        Answers come first: unless a proof leaves the engine half of what it can use, there is no proof.
        """
        if self._total is None or self._cache is not None:
            return self._cache or self._most
        release_freed()
        size = _Size.of(config, parameters, dataset)
        taken = self._resident() + size.engine
        left = max(USABLE * self._total - taken, 0)
        wanted = size.inverses(self._most)
        proves = left - size.proof >= wanted / 2
        share = min(left - size.proof if proves else left, wanted)
        smaller = min(size.blocks, size.gram)
        self._cache = self._most if share == wanted else max(int(share / 2), int(share - smaller), 1)
        self._engine = taken + size.inverses(self._cache)
        log.info(
            f"of {_mib(self._total)} that may be taken, model, data and engine take about {_mib(taken)}; of "
            f"{_mib(wanted)} of curvature that are of use, {_mib(share)} have room; "
            f"{'a proof gets the rest' if proves else 'a proof has no room'}"
        )
        return self._cache

    def for_proof(self, config: ModelConfig, parameters: Parameters, dataset: Dataset) -> float:
        """Bytes for the inverse blocks of a proof. Raises ProofTooLarge where the rest of it has no room."""
        if self._total is None:
            return self._most
        needed = _Size.of(config, parameters, dataset).proof
        left = USABLE * self._total - max(self._resident(), self._engine + self.remembered())
        if needed > left:
            raise ProofTooLarge(needed, left, self._total)
        return min(left - needed, self._most)

    def tidy(self) -> None:
        """Give back what was freed, where memory is limited."""
        if self._total is not None:
            release_freed()


@dataclass(frozen=True)
class _Size:
    """Bytes that a model can use. blocks: of all rows that are cached; gram: of the others, while a solve lasts.

    engine, proof: what these take besides, inverse blocks not counted.
    """

    blocks: int
    gram: int
    engine: int
    proof: int

    def inverses(self, cache_bytes: int) -> int:
        """What cache and solve take together of a budget that each has."""
        return min(self.blocks, cache_bytes) + min(self.gram, cache_bytes)

    @staticmethod
    def of(config: ModelConfig, parameters: Parameters, dataset: Dataset) -> _Size:
        tensors = [*parameters.tables.values(), *parameters.shared.values()]
        numbers, width = sum(tensor.numel() for tensor in tensors), parameters.user.shape[1]
        row_bytes = width * parameters.computed_in.itemsize
        degree, interactions = dataset.train.degree, len(dataset.train)
        capabilities = model_of(config).capabilities
        # Of what blocks have in common with others, weights decide whether a row of few interactions needs its own.
        small = degree <= (most_factors(width, capabilities) if capabilities.own_blocks else 0)
        return _Size(
            blocks=row_bytes * width * int((~small).sum()),
            gram=row_bytes * int(degree[small].sum()),
            engine=128 * _MIB + 60 * interactions + 14 * 4 * numbers,
            proof=128 * _MIB + 100 * interactions + 10 * 8 * numbers,
        )


def _mib(size: float) -> str:
    return f"{size / _MIB:,.0f} MiB"
