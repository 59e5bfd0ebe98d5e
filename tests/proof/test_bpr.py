"""The proof of the loss of preferences: never below the truth, closed at the optimum, bound to the comparisons."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ifru.interactions import Interactions
from ifru.models import MFConfig, ModelConfig, model_of
from ifru.models.lightgcn import LightGCNConfig
from ifru.models.proving import prove
from ifru.objective import Objective
from ifru.objective.parameters import Parameters
from ifru.proof import Dual, Proof, ProofError, decode_dual, encode_dual
from ifru.training.newton import Plan, initial, minimise
from tests.objective.preferences import families

numerical = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**31)
KINDS = ("plain", "bias", "graph")
kinds = st.sampled_from(KINDS)


@dataclass(frozen=True)
class Case:
    """Positives with up to three negatives each, weights and tombstones, and a model."""

    interactions: Interactions
    config: ModelConfig

    def objective(self) -> Objective:
        return model_of(self.config).objective(self.interactions, torch.device("cpu"), torch.float64)

    def start(self, seed: int = 0) -> Tensor:
        return initial(self.objective(), seed)

    def trained(self, theta: Tensor) -> Tensor:
        return minimise(self.objective(), theta, Plan(tolerance=1e-10)).theta

    def prove(self, theta: Tensor, dual: Dual | None = None) -> Proof:
        parameters = Parameters.unstacked(theta, self.interactions.users)
        return prove(parameters, self.interactions, self.config, random=torch.Generator().manual_seed(7), dual=dual)

    def preferences(self, theta: Tensor) -> Tensor:
        """The probability that a positive is preferred, for each comparison."""
        z = self.objective().serving(theta)
        rank, users = self.config.rank, self.interactions.users
        table, place = self.interactions, np.flatnonzero(~self.interactions.recorded & self.interactions.alive)
        place = place[table.alive[table.origin[place]]]

        def scores(rows: np.ndarray) -> Tensor:
            user, item = (torch.from_numpy(side[rows]).long() for side in (table.user, table.item))
            bias = z[user, rank:].sum(1) + z[item + users, rank:].sum(1)
            return (z[user, :rank] * z[item + users, :rank]).sum(1) + bias

        return torch.sigmoid(scores(table.origin[place]) - scores(place))

    def distance(self, theta: Tensor, other: Tensor) -> float:
        return float((self.preferences(theta) - self.preferences(other)).square().mean().sqrt())


def case(seed: int, kind: str = "plain", l2: float = 0.05, rank: int | None = None, alive: float = 0.9) -> Case:
    random = np.random.default_rng(seed)
    users, items = int(random.integers(2, 7)), int(random.integers(3, 7))
    columns = families(random, users, items, int(random.integers(6, 30)), 3)
    config: ModelConfig
    if kind == "graph":
        config = LightGCNConfig(rank=rank or users + items, layers=1 + seed % 2, loss="bpr", l2=l2)
    else:
        config = MFConfig(rank=rank or min(users, items), bias=kind == "bias", loss="bpr", l2=l2)
    return Case(Interactions(columns, users, items, random.random(len(columns)) < alive), config)


@numerical
@given(seeds, kinds, st.sampled_from([0.02, 0.1, 1.0]), st.integers(1, 3), st.floats(1e-3, 3))
def test_the_gap_of_any_parameters_covers_what_training_gains(
    seed: int, kind: str, l2: float, rank: int, scale: float
) -> None:
    small = case(seed, kind, l2, rank)
    theta = scale * small.start(seed) / 0.1
    proof, objective = small.prove(theta), small.objective()
    assert proof.objective == pytest.approx(objective.at(theta).value, rel=1e-12)
    assert proof.gap >= proof.objective - objective.at(small.trained(theta)).value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_the_gap_closes_at_the_optimum(seed: int, kind: str) -> None:
    small = case(seed, kind)
    proof = small.prove(small.trained(small.start()))
    assert 0 <= proof.relative_gap <= 1e-8
    assert proof.sigma_over_lambda <= 1 + 1e-7


@numerical
@given(seeds, kinds, st.floats(1e-5, 1), st.booleans())
def test_the_bound_on_preferences_is_never_below_the_truth(seed: int, kind: str, noise: float, own: bool) -> None:
    small = case(seed, kind)
    optimum = small.trained(small.start())
    best = small.prove(optimum)
    theta = optimum + noise * small.start(seed) / 0.1
    proof = small.prove(theta, dual=None if own else best.dual)
    if proof.retained:
        # The optimum itself is known to its own bound alone.
        assert small.distance(theta, optimum) <= proof.rms_bound + best.rms_bound
        assert best.rms_bound <= 1e-3


def test_a_model_of_too_small_a_rank_is_told_where_to_grow() -> None:
    random = np.random.default_rng(0)
    table = Interactions(families(random, 30, 25, 300, 2), 30, 25)
    small = Case(table, MFConfig(rank=1, loss="bpr", l2=0.02))
    theta = small.trained(small.start())
    direction = small.prove(theta).direction
    assert direction is not None
    wider = torch.cat([theta, direction.columns], 1)
    grown = Case(table, MFConfig(rank=wider.shape[1], loss="bpr", l2=0.02)).objective()
    fallen = small.objective().at(theta).value - grown.at(wider).value
    assert fallen == pytest.approx(direction.decrease, rel=1e-4)


@numerical
@given(seeds, kinds)
def test_sigma_is_that_of_the_dense_matrix_of_the_comparisons(seed: int, kind: str) -> None:
    small = case(seed, kind)
    theta, table = small.start(seed) / 0.1, small.interactions
    proof, duality = small.prove(theta), model_of(small.config).duality(table)
    t = torch.from_numpy(np.asarray(small.preferences(theta)))
    terms = np.flatnonzero(~table.recorded & table.alive)
    terms = terms[table.alive[table.origin[terms]]]
    alpha = -torch.from_numpy(table.weight[terms]).double() * (1 - t)
    matrix = torch.zeros(table.users, table.items, dtype=torch.float64)
    for sign, rows in ((1, table.origin[terms]), (-1, terms)):
        place = torch.from_numpy(table.user[rows]).long(), torch.from_numpy(table.item[rows]).long()
        matrix.index_put_(place, sign * alpha, accumulate=True)
    root = torch.where(duality.retained.degree > 0, duality.retained.degree.clamp(min=1).rsqrt(), 0)
    whole = torch.zeros(len(theta), len(theta), dtype=torch.float64)
    whole[: table.users, table.users :] = matrix
    if kind == "graph":
        eye = torch.eye(len(theta), dtype=torch.float64)
        p = model_of(small.config).objective(table, torch.device("cpu"), torch.float64).serving(eye)
        whole = p @ whole @ p
    exact = float(torch.linalg.eigvalsh(-root[:, None] * (whole + whole.T) * root).max())
    assert proof.sigma_lower <= exact * (1 + 1e-12) + 1e-14
    assert exact <= proof.sigma * (1 + 1e-12) + 1e-14


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_dual_point_serves_the_same_comparisons_alone(kind: str) -> None:
    small = case(5, kind, alive=1.0)
    theta = small.start()
    dual = small.prove(theta).dual
    read = decode_dual(encode_dual(dual))
    assert small.prove(theta, dual=read).gap == small.prove(theta, dual=dual).gap
    with pytest.raises(ProofError, match="for the bpr loss"):
        Case(small.interactions, small.config.model_copy(update={"loss": "bce"})).prove(theta, dual=read)
    repaired = small.interactions.copy()
    drawn = int(np.flatnonzero(~repaired.recorded)[0])
    others = repaired.recorded & (repaired.user == repaired.user[drawn])
    others[repaired.origin[drawn]] = False
    repaired.origin = repaired.origin.copy()
    repaired.origin[drawn] = np.flatnonzero(others)[0]
    with pytest.raises(ProofError, match="computed on other data"):
        Case(repaired, small.config).prove(theta, dual=read)


def test_a_dual_point_with_a_preference_for_the_negative_is_refused() -> None:
    small = case(6)
    theta = small.start()
    dual = small.prove(theta).dual
    with pytest.raises(ProofError, match="damaged"):
        small.prove(theta, dual=dataclasses.replace(dual, alpha=-dual.alpha))


def test_labels_do_not_matter() -> None:
    small = case(7)
    theta = small.start()
    rated = small.interactions.copy()
    rated.label = (5 * rated.label).astype(np.float32)
    assert Case(rated, small.config).prove(theta).gap == small.prove(theta).gap
