"""The dimension that a proof says is missing."""

from __future__ import annotations

import pytest
import torch

from ifru.models.mf import MatrixFactorization
from ifru.proof import Direction, Proof, first_direction
from tests.proof.cases import Case, case


def short_of_rank(loss: str, bias: bool) -> tuple[Case, torch.Tensor, Proof]:
    """A case trained at rank 1 whose optimum needs more, its parameters and their proof."""
    small = case(21, loss=loss, bias=bias, l2=0.02, rank=1, size=10)
    theta = small.trained(small.start())
    return small, theta, small.prove(theta)


@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize("loss", ["bce", "squared"])
def test_too_small_a_rank_leaves_a_gap_and_a_way_down(loss: str, bias: bool) -> None:
    small, theta, proof = short_of_rank(loss, bias)
    assert proof.relative_gap > 1e-3
    assert proof.sigma_lower > small.config.l2
    assert proof.direction is not None
    wider = Case(small.interactions, small.config.model_copy(update={"rank": 2}))
    grown = torch.cat([theta[:, :1], proof.direction.columns, theta[:, 1:]], 1)
    assert proof.objective - wider.value(grown) == pytest.approx(proof.direction.decrease, rel=1e-6)
    assert proof.direction.decrease > 1e-3 * proof.objective


def test_several_dimensions_are_named_at_once_but_no_more_than_there_are() -> None:
    named = []
    for rank in (1, 2):
        small = case(21, l2=0.02, rank=rank, size=10)
        direction = small.prove(small.trained(small.start())).direction
        assert direction is not None
        named.append(direction.columns.shape[1])
    assert named == [1, 2]


def test_following_the_directions_leads_to_the_optimum() -> None:
    small, theta, proof = short_of_rank("bce", False)
    found = [proof.objective]
    while proof.relative_gap > 1e-8:
        assert proof.direction is not None
        theta = torch.cat([theta, proof.direction.columns], 1)
        small = Case(small.interactions, small.config.model_copy(update={"rank": theta.shape[1]}))
        theta = small.trained(theta)
        proof = small.prove(theta)
        found.append(proof.objective)
        assert found[-1] < found[-2]
    assert 1 < theta.shape[1] < 10


def test_rows_without_interactions_stay_zero() -> None:
    small = case(21, l2=0.02, rank=1, size=10)
    table = small.interactions
    table.delete(table.rows_of_user(3))
    table.delete(table.rows_of_item(4))
    theta = small.trained(small.start())
    direction = small.prove(theta).direction
    assert direction is not None
    assert not direction.columns[[3, table.users + 4]].any()


def test_where_the_rank_suffices_there_is_no_direction_worth_taking() -> None:
    small = case(22, l2=0.1)
    proof = small.prove(small.trained(small.start()))
    assert proof.direction is None or proof.direction.decrease <= 1e-9 * proof.objective


@pytest.mark.parametrize("seed", [21, 22, 24])
def test_parameters_that_are_not_stationary_ask_for_no_dimension(seed: int) -> None:
    small = case(seed, l2=0.1, rank=4, size=12)
    optimum = small.trained(small.start())
    best = small.prove(optimum)
    assert best.relative_gap <= 1e-8
    short = small.prove(0.99 * optimum)
    assert short.sigma_lower > small.config.l2
    assert short.direction is None


def begun(loss: str, bias: bool, rank: int) -> tuple[Case, torch.Tensor, Direction]:
    """A case without dimensions, whose biases are trained, its parameters, and the direction from there."""
    small = case(21, loss=loss, bias=bias, l2=0.02, rank=rank, size=10)
    theta = small.trained(torch.zeros(20, rank + bias, dtype=torch.float64))
    duality = MatrixFactorization(small.config).duality(small.interactions)
    direction = first_direction(duality, theta, torch.Generator().manual_seed(0))
    assert direction is not None
    return small, theta, direction


@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize("loss", ["bce", "squared"])
def test_the_first_dimensions_are_those_that_the_proof_of_a_model_without_any_names(loss: str, bias: bool) -> None:
    small, theta, direction = begun(loss, bias, rank=2)
    named = small.prove(theta).direction
    assert named is not None
    grown = torch.cat([direction.columns, theta[:, 2:]], 1)
    assert small.value(theta) - small.value(grown) == pytest.approx(direction.decrease, rel=1e-6)
    # A proof looks at vectors only as closely as its bound needs.
    assert direction.decrease == pytest.approx(named.decrease, rel=0.01)


def test_a_direction_says_whether_it_has_all_dimensions_that_were_found_missing() -> None:
    complete = []
    for rank in (1, 10):
        small, theta, direction = begun("bce", False, rank)
        named = small.prove(theta).direction
        assert named is not None
        complete.append((direction.complete, named.complete))
        assert (direction.columns.shape[1] == rank) == (rank == 1)
    assert complete == [(False, False), (True, True)]


def test_under_a_penalty_that_nothing_outweighs_there_is_no_first_dimension() -> None:
    small = case(21, l2=50.0, rank=2, size=10)
    duality = MatrixFactorization(small.config).duality(small.interactions)
    nothing = torch.zeros(20, 2, dtype=torch.float64)
    assert first_direction(duality, nothing, torch.Generator().manual_seed(0)) is None
