"""The loss of preferences for dot products of rows: the objective by compiled loops, on the CPU.

Axes as in `ifru.objective.bpr`.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from ifru.interactions import Interactions
from ifru.kernels import bpr as kernels
from ifru.kernels.score import Derivatives, Step
from ifru.objective.bilinear import BilinearObjective, dot_product_objective
from ifru.objective.bpr import BPRObjective, BPRPoint
from ifru.objective.losses import LossName, loss_of
from ifru.objective.pairwise import PairwiseObjective
from ifru.objective.penalty import penalty
from ifru.objective.score import PairwiseScore


def objective_of(
    score: PairwiseScore,
    loss: LossName,
    l2: float,
    interactions: Interactions,
    device: torch.device,
    dtype: torch.dtype,
) -> PairwiseObjective | BPRObjective:
    """The objective of a dot product of rows and any loss on a device, by compiled loops where these run."""
    if loss != "bpr":
        return dot_product_objective(score, loss_of(loss), l2, interactions, device, dtype)
    pairs = dot_product_objective(score, loss_of("bce"), l2, interactions, device, dtype)
    return CompiledBPRObjective(pairs) if isinstance(pairs, BilinearObjective) else BPRObjective(pairs)


class CompiledBPRObjective(BPRObjective):
    """`BPRObjective` whose sums are taken by compiled loops."""

    pairs: BilinearObjective

    def __init__(self, pairs: BilinearObjective) -> None:
        super().__init__(pairs)
        self.terms = self.origin.numpy(), self.weight.numpy()
        # What a loop notes of each interaction on its way over a user.
        self.scratch = torch.empty(2, len(self.origin), dtype=self.dtype).numpy()

    def at(self, theta: Tensor) -> CompiledBPRPoint:
        pairs, (first, second) = self.pairs, self.pairs.new_derivatives()
        tables = pairs.incidence, *self.terms, pairs.form, pairs.parts[0], self.scratch[0]
        kernels.derivatives(theta.numpy(), *tables, first.numpy(), second.numpy())
        return CompiledBPRPoint(self, pairs.point(theta, first, second))

    def value(self, theta: Tensor) -> float:
        pairs = self.pairs
        data = kernels.value(theta.numpy(), pairs.ends_user, pairs.ends_item, *self.terms, pairs.form)
        return float(data) + penalty(self.ridge, theta)


class CompiledBPRPoint(BPRPoint):
    """`BPRPoint` by compiled loops."""

    objective: CompiledBPRObjective

    def product(self, x: Tensor) -> Tensor:
        objective, pairs, out = self.objective, self.objective.pairs, torch.empty_like(x)
        derivatives = Derivatives(self.first.numpy(), self.second.numpy())
        tables = pairs.incidence, objective.terms[0], derivatives, pairs.form, *pairs.parts
        kernels.product(
            self.theta.numpy(), x.numpy(), *tables, objective.ridge.numpy(), *objective.scratch, out.numpy()
        )
        return out

    def advance(self, x: Tensor) -> tuple[Self, float]:
        objective, pairs, new, gradient = self.objective, self.objective.pairs, self.theta + x, torch.empty_like(x)
        first, second = pairs.new_derivatives()
        change = kernels.advance(
            Step(self.theta.numpy(), x.numpy(), new.numpy()),
            pairs.incidence,
            *objective.terms,
            pairs.form,
            *pairs.parts,
            objective.ridge.numpy(),
            *objective.scratch,
            first.numpy(),
            second.numpy(),
            gradient.numpy(),
        )
        there = pairs.point(new, first, second, gradient)
        return type(self)(objective, there, self.value + float(change)), float(change)

    def blocks(self, rows: Tensor) -> Tensor:
        objective, pairs, theta, numbers = self.objective, self.objective.pairs, self.theta.numpy(), rows.numpy()
        of_users, of_items = pairs.halves(numbers)
        users, width = numbers[of_users], theta.shape[1]
        out = torch.empty((len(rows), width, width), dtype=objective.dtype)
        tables = pairs.incidence, objective.terms[0], self.second.numpy(), objective.ridge.numpy(), pairs.form
        kernels.user_blocks(theta, users, *tables, out[of_users].numpy().reshape(-1, width))
        out[of_items] = self.pairs.blocks(rows[of_items])
        return out

    def of_users(self, interactions: Tensor) -> Tensor:
        objective, pairs = self.objective, self.objective.pairs
        out = torch.empty((len(interactions), self.theta.shape[1]), dtype=objective.dtype)
        tables = pairs.ends_item, objective.terms[0], self.second.numpy(), pairs.form
        kernels.user_factors(self.theta.numpy(), interactions.numpy(), *tables, out.numpy())
        return out
