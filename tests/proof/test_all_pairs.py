"""The proof of models that are fitted to all pairs: never too good, and at the optimum next to nothing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ifru.interactions import Columns, Interactions
from ifru.models import model_of
from ifru.models.ials import IALSConfig
from ifru.models.proving import prove
from ifru.objective.parameters import Parameters
from ifru.proof import Dual, Proof, ProofError, decode_dual, encode_dual
from ifru.proof.all_pairs import AllPairsDuality
from ifru.training.newton import Plan, initial, minimise

numerical = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**31)
configs = st.builds(
    IALSConfig,
    rank=st.integers(1, 3),
    l2=st.sampled_from([0.05, 0.5, 3.0]),
    alpha=st.sampled_from([0.4, 1.0, 10.0]),
    unobserved=st.sampled_from([0.2, 1.0]),
    penalty=st.sampled_from(["plain", "frequency"]),
)


@dataclass(frozen=True)
class Case:
    """Interactions with duplicate pairs, weights and tombstones, and a model on them."""

    interactions: Interactions
    config: IALSConfig

    def trained(self, seed: int = 0) -> Tensor:
        objective = model_of(self.config).objective(self.interactions, torch.device("cpu"), torch.float64)
        return minimise(objective, initial(objective, seed), Plan(tolerance=1e-11)).theta

    def random(self, seed: int, scale: float) -> Tensor:
        objective = model_of(self.config).objective(self.interactions, torch.device("cpu"), torch.float64)
        return scale * initial(objective, seed) / 0.1

    def value(self, theta: Tensor) -> float:
        """L, pair by pair."""
        table, config = self.interactions, self.config
        scores = (theta[: table.users] @ theta[table.users :].T).numpy()
        alive = np.flatnonzero(table.alive)
        user, item = table.user[alive], table.item[alive]
        unobserved = np.ones(scores.shape, dtype=bool)
        unobserved[user, item] = False
        terms = config.alpha * table.weight[alive].astype(float) * (table.label[alive] - scores[user, item]) ** 2
        degree = table.degree if config.penalty == "frequency" else table.degree > 0
        penalty = config.l2 * float((degree * theta.square().sum(1).numpy()).sum())
        return 0.5 * (config.unobserved * float((scores[unobserved] ** 2).sum()) + float(terms.sum()) + penalty)

    def prove(self, theta: Tensor, dual: Dual | None = None) -> Proof:
        parameters = Parameters.unstacked(theta, self.interactions.users)
        return prove(parameters, self.interactions, self.config, random=torch.Generator().manual_seed(7), dual=dual)


def case(seed: int, config: IALSConfig, size: int = 7) -> Case:
    random = np.random.default_rng(seed)
    rows = 3 * size
    columns = Columns(
        user=random.integers(0, size, rows).astype(np.int32),
        item=random.integers(0, size - 1, rows).astype(np.int32),
        label=random.choice([1.0, 1.0, 1.0, 0.0, 2.0], rows).astype(np.float32),
        weight=random.uniform(0.5, 2, rows).astype(np.float32),
        time=None,
        origin=np.arange(rows),
    )
    return Case(Interactions(columns, size, size - 1, random.random(rows) < 0.9), config)


@numerical
@given(seeds, configs, st.floats(1e-3, 3))
def test_the_gap_of_any_parameters_covers_what_training_gains(seed: int, config: IALSConfig, scale: float) -> None:
    small = case(seed, config)
    theta = small.random(seed, scale)
    proof = small.prove(theta)
    assert proof.objective == pytest.approx(small.value(theta), rel=1e-12)
    full = Case(small.interactions, config.model_copy(update={"rank": 6}))
    assert proof.gap >= proof.objective - full.value(full.trained())
    assert proof.dual_value + proof.gap == pytest.approx(proof.objective, rel=1e-15)


@pytest.mark.parametrize("penalty", ["plain", "frequency"])
@pytest.mark.parametrize("alpha", [1.0, 10.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_gap_closes_at_the_optimum(seed: int, alpha: float, penalty: str) -> None:
    small = case(seed, IALSConfig(rank=6, l2=0.3, alpha=alpha, penalty=penalty))
    proof = small.prove(small.trained())
    assert 0 <= proof.relative_gap <= 1e-9
    assert proof.sigma_over_lambda <= 1 + 1e-8


@numerical
@given(seeds, configs, st.floats(1e-4, 1))
def test_the_dual_point_of_the_optimum_serves_every_version(seed: int, config: IALSConfig, noise: float) -> None:
    small = case(seed, config.model_copy(update={"rank": 6}))
    optimum = small.trained()
    best = small.prove(optimum)
    theta = optimum + small.random(seed, noise)
    suboptimal = small.value(theta) - best.objective
    proof = small.prove(theta, dual=decode_dual(encode_dual(best.dual)))
    assert suboptimal - 1e-12 * best.objective <= proof.gap
    assert proof.gap <= suboptimal + 2 * best.gap + 1e-9 * proof.objective


@numerical
@given(seeds, configs, st.floats(1e-3, 0.5))
def test_the_bound_on_the_distance_is_never_below_the_truth(seed: int, config: IALSConfig, noise: float) -> None:
    small = case(seed, config.model_copy(update={"rank": 6}))
    optimum = small.trained()
    theta = optimum + small.random(seed, noise)
    table = small.interactions
    alive = np.flatnonzero(table.alive)
    there, best = (
        (at[: table.users] @ at[table.users :].T).numpy()[table.user[alive], table.item[alive]]
        for at in (theta, optimum)
    )
    true = float(np.sqrt(np.mean((there - best) ** 2)))
    assert small.prove(theta).rms_bound >= true
    assert small.prove(theta, dual=small.prove(optimum).dual).rms_bound >= true


@pytest.mark.parametrize("penalty", ["plain", "frequency"])
def test_where_the_rank_is_too_small_the_missing_dimensions_lower_the_objective(penalty: str) -> None:
    small = case(1, IALSConfig(rank=1, l2=0.05, alpha=5.0, penalty=penalty))
    theta = small.trained()
    direction = small.prove(theta).direction
    assert direction is not None
    wider = torch.cat([theta, direction.columns], 1)
    assert small.value(theta) - small.value(wider) == pytest.approx(direction.decrease, rel=1e-6)
    assert direction.decrease > 1e-3


@numerical
@given(seeds, configs, st.booleans())
def test_the_operator_is_that_of_the_whole_matrix(seed: int, config: IALSConfig, users_are_fewer: bool) -> None:
    small = case(seed, config)
    table = small.interactions
    if users_are_fewer:
        columns = table.columns()
        turned = dataclasses.replace(columns, user=columns.item, item=columns.user)
        table = Interactions(turned, table.items, table.users)
    duality = model_of(config).duality(table)
    assert isinstance(duality, AllPairsDuality)
    random = torch.Generator().manual_seed(seed)
    rows = torch.randn(table.users + table.items, 3, generator=random, dtype=torch.float64)
    alpha = torch.randn(table.retained, generator=random, dtype=torch.float64)
    whole = rows[: table.users] @ rows[table.users :].T
    kept = duality.retained
    whole[kept.user, kept.item] = 0
    whole.index_put_((kept.user, kept.item), alpha, accumulate=True)
    root = torch.where(duality.penalised > 0, duality.penalised.clamp(min=1e-9).rsqrt(), 0.0)
    expected = root[: table.users, None] * whole * root[table.users :]
    start = torch.zeros(duality.subspace_rows, 0, dtype=torch.float64)
    found = duality.spectrum(alpha, start, random, lambda low, high: high <= low * (1 + 1e-9), lambda: None, rows)
    sigma = float(torch.linalg.matrix_norm(expected, 2))
    assert found.lower <= sigma * (1 + 1e-12)
    assert found.upper >= sigma * (1 - 1e-12)
    assert found.upper == pytest.approx(sigma, rel=1e-6)


def test_a_damaged_dual_point_is_refused() -> None:
    small = case(3, IALSConfig(rank=2, l2=0.5))
    theta = small.trained()
    dual = small.prove(theta).dual
    assert dual.rows is not None
    for rows in (dual.rows[1:], dual.rows * torch.nan, dual.rows[:, 0]):
        with pytest.raises(ProofError, match="damaged"):
            small.prove(theta, dual=dataclasses.replace(dual, rows=rows))


def test_a_dual_point_without_rows_still_holds() -> None:
    small = case(3, IALSConfig(rank=6, l2=0.5))
    theta = small.trained()
    proof = small.prove(theta)
    assert small.prove(theta, dual=dataclasses.replace(proof.dual, rows=None)).gap >= proof.gap
