"""Proofs and quality in idle time, on a thread of their own.

The thread that owns the model waits for one of its compiled loops at most.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from threading import Event

import torch

from ifru.evaluation.tightened import tightened
from ifru.interactions import Dataset
from ifru.models import ModelConfig
from ifru.models.quality import holdout_auc
from ifru.objective.parameters import Parameters
from ifrud.memory import Memory

TIDY_STEPS = 50
"""After so many steps, a few seconds of a large proof, freed memory is given back where memory is limited."""

RMS_BOUND = "rms_bound"
"""Name of the proven bound in a manifest's quality."""


@dataclass(frozen=True)
class Proven:
    """What was found about a version: `rms_bound`, `relative_gap`, and held-out `auc` where it is defined."""

    version: int
    quality: Mapping[str, float]


class _Unwanted(Exception):
    """A proof that nobody waits for any more."""


class Prover:
    """At most one proof at a time.

    memory: what it may take. fresh_seed: of the random start that a proof rests on.
    """

    def __init__(
        self, memory: Memory | None = None, fresh_seed: Callable[[], int] = lambda: secrets.randbits(63)
    ) -> None:
        self._memory = memory or Memory()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ifrud-proof")
        self._fresh_seed = fresh_seed
        self._future: Future[Proven] | None = None
        self._unwanted = Event()

    @property
    def busy(self) -> bool:
        """Whether a proof was started whose result was not taken."""
        return self._future is not None

    def start(self, version: int, config: ModelConfig, parameters: Parameters, dataset: Dataset) -> None:
        """Begin with a version; it is copied, so its owner may go on changing it. Raises ProofTooLarge."""
        budget = self._memory.for_proof(config, parameters, dataset)
        copy = parameters.to("cpu", copy=True)
        self._unwanted = Event()
        self._future = self._pool.submit(self._prove, version, config, copy, dataset.copy(), budget, self._unwanted)

    def result(self) -> Proven | None:
        """What was found, once; None while it is not. Raises what the proof raised."""
        if self._future is None or not self._future.done():
            return None
        future, self._future = self._future, None
        return future.result()

    def give_up(self) -> None:
        """Forget the proof in hand, which ends within one of its steps."""
        self._unwanted.set()
        self._future = None

    def close(self) -> None:
        """Give up; returns within one step of the proof in hand."""
        self.give_up()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _prove(
        self,
        version: int,
        config: ModelConfig,
        tables: Parameters,
        dataset: Dataset,
        budget: float,
        unwanted: Event,
    ) -> Proven:
        steps = count(1)

        def go_on() -> None:
            if unwanted.is_set():
                raise _Unwanted
            if next(steps) % TIDY_STEPS == 0:
                self._memory.tidy()

        random = torch.Generator().manual_seed(self._fresh_seed())
        proof = tightened(tables, dataset.train, config, random=random, check=go_on, budget_bytes=budget).proof
        quality = {RMS_BOUND: proof.rms_bound, "relative_gap": proof.relative_gap}
        auc = holdout_auc(config, tables, dataset)
        return Proven(version, quality if auc is None else quality | {"auc": auc})
