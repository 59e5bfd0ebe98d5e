"""Proofs and quality beside everything else, on a thread of their own.

The thread that owns the model waits for one of its compiled loops at most.
"""

from __future__ import annotations

import math
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from threading import Event

import torch

from ifru.interactions import Dataset
from ifru.models import ModelConfig, model_of
from ifru.models.proving import prove
from ifru.models.quality import holdout_auc
from ifru.objective.parameters import Parameters
from ifru.proof import Dual
from ifru.training import Plan, minimise
from ifrud.memory import Memory
from ifrud.pace import Pace

TIDY_STEPS = 50
"""After so many steps, a few seconds of a large proof, freed memory is given back where memory is limited."""

RMS_BOUND = "rms_bound"
"""Name of the proven bound in a manifest's quality."""

RELATIVE_GAP = "relative_gap"

SOLVED = (1e-7, 1e-10)
"""Gradient norms of a solution, in √L, the second where the first is not enough."""

NEAR = 0.1
"""A solution is near enough to the optimum where its gap is such a share of what the version lacks."""

OPEN = 1e3
"""A gap so many times as large as the slope, in lengths of √L, is not closed by solving on: the rank is too small."""


@dataclass(frozen=True)
class Proven:
    """What was found about a version: `rms_bound`, `relative_gap`, and held-out `auc` where it is defined.

    final: whether nothing better is to be found.
    """

    version: int
    quality: Mapping[str, float]
    final: bool = True


@dataclass(frozen=True)
class _Snapshot:
    """A version that is proven, copied: its owner may go on changing it. budget: bytes of the inverse blocks."""

    version: int
    config: ModelConfig
    tables: Parameters
    dataset: Dataset
    budget: float


class _Unwanted(Exception):
    """A proof that nobody waits for any more."""


class Prover:
    """At most one proof at a time.

    memory: what it may take. fresh_seed: of the random start that a proof rests on. pace: of its thread.
    """

    def __init__(
        self,
        memory: Memory | None = None,
        fresh_seed: Callable[[], int] = lambda: secrets.randbits(63),
        pace: Pace | None = None,
    ) -> None:
        self._memory = memory or Memory()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ifrud-proof")
        self._fresh_seed = fresh_seed
        self._pace = pace or Pace()
        self._future: Future[Proven] | None = None
        self._first = deque[Proven]()
        self._unwanted = Event()

    @property
    def busy(self) -> bool:
        """Whether a proof was started whose result was not taken."""
        return self._future is not None

    def start(self, version: int, config: ModelConfig, parameters: Parameters, dataset: Dataset) -> None:
        """Begin with a version; it is copied, so its owner may go on changing it. Raises ProofTooLarge."""
        budget = self._memory.for_proof(config, parameters, dataset)
        copy = parameters.to("cpu", copy=True)
        self._unwanted, self._first = Event(), deque()
        snapshot = _Snapshot(version, config, copy, dataset.copy(), budget)
        self._future = self._pool.submit(self._prove, snapshot, self._unwanted, self._first)

    def result(self) -> Proven | None:
        """What was found, once; None while it is not. Raises what the proof raised."""
        if self._future is None:
            return None
        if not self._future.done():
            return self._first.popleft() if self._first else None
        future, self._future = self._future, None
        return future.result()

    def hold_back(self, share: float) -> None:
        """Others need the machine: work for a share of the time from now on. With none the proof in hand is given up,
        which ends within one of its steps."""
        if share == 0:
            self.give_up()
        else:
            self._pace.hold_back(share)

    def let_go(self) -> None:
        """Nobody else needs the machine."""
        self._pace.let_go()

    def give_up(self) -> None:
        """Forget the proof in hand, which ends within one of its steps."""
        self._unwanted.set()
        self._pace.let_go()
        self._future = None

    def close(self) -> None:
        """Give up; returns within one step of the proof in hand."""
        self.give_up()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _prove(self, snapshot: _Snapshot, unwanted: Event, first: deque[Proven]) -> Proven:
        """First with its own dual point, which costs the gap the first order of what the version lacks. That of a
        solution next to the optimum does not."""
        steps = count(1)

        def go_on() -> None:
            self._pace.step()
            if unwanted.is_set():
                raise _Unwanted
            if next(steps) % TIDY_STEPS == 0:
                self._memory.tidy()

        self._pace.begin()
        config, tables, train = snapshot.config, snapshot.tables, snapshot.dataset.train
        random = torch.Generator().manual_seed(self._fresh_seed())
        own = prove(tables, train, config, random=random, check=go_on)
        quality = {RMS_BOUND: own.rms_bound, RELATIVE_GAP: own.relative_gap}
        first.append(Proven(snapshot.version, quality, final=False))
        dual = self._dual(snapshot, own.objective, random, go_on)
        tight = prove(tables, train, config, random=random, dual=dual, check=go_on)
        best = min(own, tight, key=lambda proof: proof.gap)
        quality = {RMS_BOUND: best.rms_bound, RELATIVE_GAP: best.relative_gap}
        auc = holdout_auc(config, tables, snapshot.dataset)
        return Proven(snapshot.version, quality if auc is None else quality | {"auc": auc})

    def _dual(self, snapshot: _Snapshot, published: float, random: torch.Generator, go_on: Callable[[], None]) -> Dual:
        """Of a solution that is as near to the optimum as it pays off. published: L of the version."""
        config, train = snapshot.config, snapshot.dataset.train
        theta = snapshot.tables.stacked().double()
        objective = model_of(config).objective(train, theta.device, torch.float64)

        def stop() -> bool:
            go_on()
            return False

        for tolerance in SOLVED:
            plan = Plan(sweeps=0, tolerance=tolerance, budget_bytes=snapshot.budget)
            solved = minimise(objective, theta, plan, stop=stop)
            theta = solved.theta
            found = prove(solved.parameters, train, config, random=random, check=go_on)
            slope = solved.gradient_norm * math.sqrt(found.objective)
            if found.gap <= NEAR * (published - found.objective) or found.gap > OPEN * slope:
                break
        return found.dual
