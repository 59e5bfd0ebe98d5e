"""Proofs and quality beside everything else, on a thread of their own.

The thread that owns the model waits for one of its compiled loops at most.
"""

from __future__ import annotations

import math
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from threading import Event

import torch

from ifru.evaluation.chosen_pairs import PairProver
from ifru.interactions import Dataset
from ifru.models import ModelConfig, model_of
from ifru.models.proving import prove, prove_by
from ifru.models.quality import holdout_auc
from ifru.objective.parameters import Parameters
from ifru.proof import Proof, ProofError
from ifru.training import PROVEN, Plan, minimise
from ifru.training.dimensions import has_spare, woken
from ifrud.memory import Memory
from ifrud.pace import Pace
from ifrud.requests.unproven import RequestProven, Unproven

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
"""A gap so many times as large as the slope, in lengths of √L, is not closed by solving on."""

AT_ONCE = 32
"""Requests that are proven about one version while events come: newer ones are waiting by then."""


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
    """A version that is proven, copied: its owner may go on changing it. known: whether its bound is.

    owes: the share of all that deletions have added that is left to do, 0 of one that was only trained. requests: to be
    proven one by one. earlier(): finds others. budget: bytes of the inverse blocks.
    """

    version: int
    config: ModelConfig
    tables: Parameters
    dataset: Dataset
    known: bool
    owes: float
    requests: Sequence[Unproven]
    earlier: Callable[[], Sequence[Unproven]]
    budget: float


@dataclass(frozen=True)
class _Solution:
    """Next to the optimum of what a version retains. open: whether the rank is too small for a proof that closes."""

    parameters: Parameters
    proof: Proof
    open: bool


class _Unwanted(Exception):
    """A proof that nobody waits for any more."""


class Prover:
    """At most one version at a time.

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
        self._future: Future[None] | None = None
        self._work: _Work | None = None

    @property
    def busy(self) -> bool:
        """Whether something was started that has not ended, or whose result was not taken."""
        return self._future is not None

    def start(
        self,
        version: int,
        config: ModelConfig,
        parameters: Parameters,
        dataset: Dataset,
        requests: Sequence[Unproven] = (),
        known: bool = False,
        owes: float = math.inf,
        earlier: Callable[[], Sequence[Unproven]] = tuple,
    ) -> None:
        """Begin with a version; it is copied, so its owner may go on changing it. known: whether its bound is.

        owes: the share of all that deletions have added that it has left to do. requests: to be proven one by one after
        that, in their order. earlier(): finds others, on the prover's thread.
        Raises ProofTooLarge.
        """
        budget = self._memory.for_proof(config, parameters, dataset)
        copy = parameters.to("cpu", copy=True)
        snapshot = _Snapshot(version, config, copy, dataset.copy(), known, owes, requests, earlier, budget)
        random = torch.Generator().manual_seed(self._fresh_seed())
        before = self._work
        reached = before.reached if before is not None and before.config == config else 0.0
        self._work = _Work(snapshot, self._memory, self._pace, random, reached)
        self._future = self._pool.submit(self._work.run)

    def result(self) -> Proven | RequestProven | Unproven | None:
        """One thing that was found, once; None while there is none. Raises what the proof of the version raised."""
        if self._future is None or self._work is None:
            return None
        done = self._future.done()
        if self._work.found:
            return self._work.found.popleft()
        if done:
            future, self._future = self._future, None
            future.result()
        return None

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
        if self._work is not None:
            self._work.unwanted.set()
        self._pace.let_go()
        self._future = self._work = None

    def close(self) -> None:
        """Give up; returns within one step of the proof in hand."""
        self.give_up()
        self._pool.shutdown(wait=True, cancel_futures=True)


class _Work:
    """All that is proven about one version. found: what was; the thread that owns the model takes it.

    reached: the relative gap that solving on came to last, or training, where the rank is too small for a proof that
    closes; 0 where it is not, or nobody knows.
    """

    def __init__(
        self, snapshot: _Snapshot, memory: Memory, pace: Pace, random: torch.Generator, reached: float
    ) -> None:
        self._snapshot, self._memory, self._pace, self._random = snapshot, memory, pace, random
        self.config, self.reached = snapshot.config, reached
        self._steps = count(1)
        self.unwanted = Event()
        self.found = deque[Proven | RequestProven | Unproven]()

    def run(self) -> None:
        """The version first: with its own dual point, which costs the gap the first order of what the version lacks;
        that of a solution next to the optimum does not. Then request by request.

        While events come, nothing is solved for a gap that solving on would hardly close, as it did not before."""
        self._pace.begin()
        known, requests = self._snapshot.known, self._snapshot.requests
        if not known or requests:
            solution = self._solution() if known else self._prove()
            if solution is None or solution.open:
                self.found += [RequestProven(each.request, self._snapshot.version) for each in requests]
            elif requests:
                self._prove_requests(solution.parameters)
        self.found += self._snapshot.earlier()

    def _prove(self) -> _Solution | None:
        snapshot = self._snapshot
        config, tables, train = snapshot.config, snapshot.tables, snapshot.dataset.train
        own = prove(tables, train, config, random=self._random, check=self._go_on)
        quality = {RMS_BOUND: own.rms_bound, RELATIVE_GAP: own.relative_gap}
        if snapshot.owes == 0 and own.relative_gap > PROVEN[tables.computed_in] and not has_spare(tables.stacked()):
            self.reached = own.relative_gap
        if self._pace.held_back and (1 - NEAR) * own.relative_gap <= self.reached:
            self._finish(quality)
            return None
        self.found.append(Proven(snapshot.version, quality, final=False))
        solution = self._solution(own.objective)
        tight = prove_by(solution.proof, tables, train, config)
        best = min(own, tight, key=lambda proof: proof.gap)
        self.reached = best.relative_gap if solution.open else 0.0
        self._finish({RMS_BOUND: best.rms_bound, RELATIVE_GAP: best.relative_gap})
        return solution

    def _finish(self, quality: dict[str, float]) -> None:
        snapshot = self._snapshot
        auc = holdout_auc(snapshot.config, snapshot.tables, snapshot.dataset)
        self.found.append(Proven(snapshot.version, quality if auc is None else quality | {"auc": auc}))

    def _solution(self, published: float = math.inf) -> _Solution:
        """As near to the optimum as it pays off. published: L of the version."""
        config, train = self._snapshot.config, self._snapshot.dataset.train
        theta = self._snapshot.tables.stacked().double()
        objective = model_of(config).objective(train, theta.device, torch.float64)
        tolerances, spare = list(SOLVED), has_spare(theta)
        while True:
            plan = Plan(sweeps=0, tolerance=tolerances[0], budget_bytes=self._snapshot.budget)
            solved = minimise(objective, theta, plan, stop=self._stop)
            theta = solved.theta
            proof = prove(solved.parameters, train, config, random=self._random, check=self._go_on)
            # A gap that is so large next to the slope is rounding, or a dimension is missing.
            stays = proof.gap > OPEN * solved.gradient_norm * math.sqrt(proof.objective)
            missing = stays and proof.relative_gap > PROVEN[torch.float64]
            if missing and spare:
                theta, spare = woken(theta, self._random), False
                # It grows from a slope that is next to none.
                tolerances = tolerances[-1:]
            elif stays or proof.gap <= NEAR * (published - proof.objective) or len(tolerances) == 1:
                return _Solution(solved.parameters, proof, missing)
            else:
                tolerances.pop(0)

    def _prove_requests(self, solution: Parameters) -> None:
        snapshot = self._snapshot
        config, train = snapshot.config, snapshot.dataset.train
        serving = model_of(config).serving(snapshot.tables, train)
        pair_prover = PairProver(solution, train, config, check=self._go_on, budget_bytes=snapshot.budget)
        for number, each in enumerate(snapshot.requests, 1):
            pairs, published, length = each.weighed(config, serving)
            bound = None
            try:
                if length > 0:
                    bound = pair_prover.prove(pairs, self._random).bound(published)
            except ProofError:
                # This one is not proven; the next one may be.
                pass
            worth = bound is not None and bound < length
            self.found.append(RequestProven(each.request, snapshot.version, bound if worth else None, length))
            if number >= AT_ONCE and self._pace.held_back:
                break

    def _go_on(self) -> None:
        self._pace.step()
        if self.unwanted.is_set():
            raise _Unwanted
        if next(self._steps) % TIDY_STEPS == 0:
            self._memory.tidy()

    def _stop(self) -> bool:
        self._go_on()
        return False
