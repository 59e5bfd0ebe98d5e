"""Proofs and quality in idle time, on a thread of their own: the thread that owns the model never waits for them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch

from ifru.interactions import Dataset
from ifru.models import ModelConfig, Tables
from ifru.proof import Progress, prove
from ifru.quality import holdout_auc

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

    fresh_seed: of the random start that a proof rests on.
    """

    def __init__(self, fresh_seed: Callable[[], int] = lambda: secrets.randbits(63)) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ifrud-proof")
        self._fresh_seed = fresh_seed
        self._future: Future[Proven] | None = None
        self._closing = False

    @property
    def busy(self) -> bool:
        """Whether a proof was started whose result was not taken."""
        return self._future is not None

    def start(self, version: int, config: ModelConfig, tables: Tables, dataset: Dataset) -> None:
        """Begin with a version; it is copied, so its owner may go on changing it."""
        copy = Tables(tables.user.cpu().clone(), tables.item.cpu().clone())
        self._future = self._pool.submit(self._prove, version, config, copy, dataset.copy())

    def result(self) -> Proven | None:
        """What was found, once; None while it is not. Raises what the proof raised."""
        if self._future is None or not self._future.done():
            return None
        future, self._future = self._future, None
        return future.result()

    def close(self) -> None:
        """Give up the proof in hand; returns within one of its steps."""
        self._closing = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _prove(self, version: int, config: ModelConfig, tables: Tables, dataset: Dataset) -> Proven:
        random = torch.Generator().manual_seed(self._fresh_seed())
        proof = prove(tables, dataset.train, config, random=random, report=self._go_on)
        quality = {RMS_BOUND: proof.rms_bound, "relative_gap": proof.relative_gap}
        auc = holdout_auc(config, tables, dataset.holdout)
        return Proven(version, quality if auc is None else quality | {"auc": auc})

    def _go_on(self, progress: Progress) -> None:
        if self._closing:
            raise _Unwanted
