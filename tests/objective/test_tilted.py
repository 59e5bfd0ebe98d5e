"""A rewarded objective against autograd through its scores."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ifru.objective.propagated import PropagatedPoint
from ifru.objective.tilted import ChosenPairs, TiltedPoint, tilted
from ifru.training.newton import initial
from tests.proof.chosen import FAMILIES, Problem, problem

REWARD = 0.37


def dense(small: Problem) -> Tensor:
    """What takes θ to the rows that score pairs, and rows without interactions to zero."""
    held = torch.from_numpy(small.interactions.degree > 0)
    return small.objective.serving(torch.eye(len(held), dtype=torch.float64)) * held


def rewarded(small: Problem, pairs: ChosenPairs, passed: Tensor) -> Tensor:
    """REWARD·f of the rows that score pairs."""
    rank, users = small.config.rank, small.interactions.users
    user, item = passed[pairs.user], passed[pairs.item + users]
    score = (user[:, :rank] * item[:, :rank]).sum(1) + (user[:, rank:] + item[:, rank:]).sum(1)
    return REWARD * (pairs.weight * score).sum()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(3))
def test_derivatives_are_those_of_the_objective_less_those_of_the_scores(family: str, seed: int) -> None:
    small = problem(family, seed)
    pairs, objective = small.pairs(seed), small.objective
    theta = 4 * initial(objective, seed)
    x = 0.1 * initial(objective, seed + 1)
    point, plain = tilted(objective, pairs, REWARD).at(theta), small.objective.at(theta)
    passing = dense(small)

    def of_scores(at: Tensor) -> Tensor:
        return rewarded(small, pairs, passing @ at)

    assert point.value == pytest.approx(plain.value - float(of_scores(theta)), rel=1e-12)
    torch.testing.assert_close(point.gradient, plain.gradient - torch.func.grad(of_scores)(theta))
    bent = torch.func.jvp(torch.func.grad(of_scores), (theta,), (x,))[1]
    torch.testing.assert_close(point.product(x), plain.product(x) - bent)
    after, change = point.advance(x)
    assert change == pytest.approx(after.value - point.value, rel=1e-9, abs=1e-12)
    again = tilted(small.objective, pairs, REWARD).at(theta + x)
    torch.testing.assert_close(after.gradient, again.gradient)
    rows = torch.arange(len(theta))
    torch.testing.assert_close(point.blocks(rows), plain.blocks(rows))


@pytest.mark.parametrize("family", ["plain", "bias", "ials"])
def test_what_couples_both_sides_is_the_product_without_the_blocks(family: str) -> None:
    small = problem(family, 1)
    objective, users = small.objective, small.interactions.users
    theta, x = 4 * initial(objective, 0), initial(objective, 1)
    point = tilted(objective, small.pairs(1), REWARD).at(theta)
    assert isinstance(point, TiltedPoint)
    for of_users, mine in ((True, slice(0, users)), (False, slice(users, None))):
        alone = torch.zeros_like(x)
        alone[mine] = x[mine]
        far = point.product(alone)[users:] if of_users else point.product(alone)[:users]
        torch.testing.assert_close(point.cross(x[mine].contiguous(), of_users), far)


def test_rows_that_are_passed_on_are_rewarded_for_what_they_score_then() -> None:
    small = problem("graph", 0)
    point = tilted(small.objective, small.pairs(0), REWARD).at(initial(small.objective, 0))
    assert isinstance(point, PropagatedPoint)


def test_nothing_is_deleted_from_a_tilted_objective() -> None:
    small = problem("plain", 0)
    objective = tilted(small.objective, small.pairs(0), REWARD)
    with pytest.raises(TypeError, match="solved on data that stay"):
        objective.remove(objective.at(initial(objective, 0)), small.pairs(0).user.numpy())
