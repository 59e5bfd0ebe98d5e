"""Newton steps among a solution's own dimensions, against dense linear algebra."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ifru.objective import Linearised
from ifru.proof import Duality
from ifru.solvers.face import Face
from ifru.solvers.pcg import Limits
from tests.proof.chosen import Problem, problem

FAMILIES = ("plain", "bias-squared", "graph", "ials", "bpr")
_EXACT = Limits(1e-9, 200)


def of(small: Problem) -> tuple[Linearised, Duality]:
    return small.objective.at(small.optimum.stacked()), small.duality


def gradient(point: Linearised, seed: int) -> Tensor:
    """One that some step has: the Hessian of so small a problem may be singular."""
    random = torch.Generator().manual_seed(seed)
    drawn = torch.randn(point.theta.shape, generator=random, dtype=torch.float64)
    held = point.objective.ridge != 0
    return point.product(drawn * held[:, None])


@pytest.mark.parametrize("family", FAMILIES)
def test_after_a_step_nothing_of_the_gradient_is_left_among_the_dimensions(family: str) -> None:
    point, duality = of(problem(family, 2))
    face, asked = Face(point, duality.rank, duality.penalised), gradient(point, 1)
    step = face.step(face.solve(face.seen(asked), _EXACT).x)
    left = face.seen(asked - point.product(step))
    assert float(left.norm()) < 1e-7 * float(face.seen(asked).norm())


@pytest.mark.parametrize("family", FAMILIES)
def test_solves_before_save_products_and_change_nothing_else(family: str) -> None:
    point, duality = of(problem(family, 2))
    shared = Face(point, duality.rank, duality.penalised)
    taken = []
    for seed in range(8):
        fresh = Face(point, duality.rank, duality.penalised)
        seen = fresh.seen(gradient(point, seed))
        alone, again = fresh.solve(seen, _EXACT), shared.solve(seen, _EXACT)
        left = fresh.seen(point.product(fresh.step(alone.x - again.x)))
        assert float(left.norm()) < 1e-4 * float(seen.norm())
        taken.append((alone.iterations, again.iterations))
    assert sum(again for _, again in taken[4:]) < sum(alone for alone, _ in taken[4:])


def test_what_is_seen_of_the_own_dimensions_is_symmetric_and_the_size_of_the_change() -> None:
    point, duality = of(problem("plain", 3))
    face = Face(point, duality.rank, duality.penalised)
    change = torch.randn(len(face.squares), len(face.squares), generator=torch.Generator().manual_seed(1)).double()
    change = change + change.T
    theta, step, weight = point.theta, face.step(change), duality.penalised[:, None]
    moved = (theta @ step.T + step @ theta.T) * weight.sqrt() * weight.sqrt().T
    assert float(moved.norm()) == pytest.approx(float(change.norm()), rel=1e-6)
