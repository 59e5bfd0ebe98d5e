"""What the gap says about the objective: never too little, and at the optimum next to nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ifru.interactions import Columns, Interactions
from ifru.proof import BilinearDuality, ProofError
from ifru.proof.dual import best_scale
from ifru.proof.primal import objective
from tests.proof.cases import Case, case

numerical = settings(max_examples=30, deadline=None)
losses = st.sampled_from(["bce", "squared"])
penalties = st.sampled_from([0.02, 0.1, 1.0])
seeds = st.integers(0, 2**31)


@numerical
@example(971, "bce", False, 0.02, 2, 3.0)
@given(seeds, losses, st.booleans(), penalties, st.integers(1, 3), st.floats(1e-3, 3))
def test_the_gap_of_any_parameters_covers_what_training_gains(
    seed: int, loss: str, bias: bool, l2: float, rank: int, scale: float
) -> None:
    small = case(seed, loss=loss, bias=bias, l2=l2, rank=rank, size=5)
    theta = scale * small.start(seed) / 0.1
    proof = small.prove(theta)
    assert proof.objective == pytest.approx(small.value(theta), rel=1e-12)
    assert proof.gap >= proof.objective - small.value(small.trained(theta))
    assert proof.gap >= 0
    assert proof.dual_value + proof.gap == pytest.approx(proof.objective, rel=1e-15)


@pytest.mark.parametrize("l2", [0.05, 0.2])
@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize("loss", ["bce", "squared"])
@pytest.mark.parametrize("seed", range(3))
def test_the_gap_closes_at_the_optimum(seed: int, loss: str, bias: bool, l2: float) -> None:
    small = case(seed, loss=loss, bias=bias, l2=l2)
    proof = small.prove(small.trained(small.start()))
    assert 0 <= proof.relative_gap <= 1e-8
    assert proof.sigma_over_lambda <= 1 + 1e-8
    assert proof.direction is None or proof.direction.decrease <= 1e-8 * proof.objective
    assert proof.retained == small.interactions.retained
    assert proof.failure_probability <= 1e-12


def test_a_version_stored_in_float32_is_proven_as_it_is_stored() -> None:
    small = case(1)
    theta = small.trained(small.start()).float()
    proof = small.prove(theta)
    assert proof.objective == small.prove(theta.double()).objective
    assert proof.relative_gap <= 1e-5


@numerical
@given(seeds, losses, st.booleans(), st.floats(1e-4, 1))
def test_the_dual_point_of_the_optimum_serves_every_version(seed: int, loss: str, bias: bool, noise: float) -> None:
    small = case(seed, loss=loss, bias=bias, l2=0.05, size=6)
    optimum = small.trained(small.start())
    best = small.prove(optimum)
    theta = optimum + noise * small.start(seed) / 0.1
    suboptimal = small.value(theta) - best.objective
    proof = small.prove(theta, dual=best.dual)
    assert suboptimal <= proof.gap <= suboptimal + 2 * best.gap + 1e-9 * best.objective
    assert proof.direction is None


def test_a_dual_point_serves_again_what_it_was_computed_on() -> None:
    small = case(4)
    theta = small.start()
    own = small.prove(theta)
    again = small.prove(theta, dual=own.dual)
    assert again.gap == pytest.approx(own.gap, rel=1e-6)
    assert again.sigma <= small.config.l2 * (1 + 1e-12)


def test_a_dual_point_survives_that_deleted_rows_leave_the_table() -> None:
    small = case(5, alive=0.7)
    assert small.interactions.retained < len(small.interactions)
    compact = Interactions(small.interactions.columns(), small.interactions.users, small.interactions.items)
    theta = small.start()
    dual = small.prove(theta).dual
    moved = Case(compact, small.config)
    assert moved.prove(theta, dual=dual).gap == pytest.approx(moved.prove(theta).gap, rel=1e-6)


def test_a_dual_point_of_other_data_is_refused() -> None:
    small = case(6)
    theta = small.start()
    dual = small.prove(theta).dual
    with pytest.raises(ProofError, match=r"has \d+ interactions, the data retains \d+"):
        small.without(0.2, 0).prove(theta, dual=dual)
    relabelled = Interactions(one_label_turned(small), small.interactions.users, small.interactions.items)
    with pytest.raises(ProofError, match="computed on other data"):
        Case(relabelled, small.config).prove(theta, dual=dual)


def one_label_turned(small: Case) -> Columns:
    """The retained rows with one label turned round."""
    columns = small.interactions.columns()
    label = columns.label.copy()
    label[0] = 1 - label[0]
    return dataclasses.replace(columns, label=label)


def test_a_dual_point_of_another_loss_or_with_impossible_values_is_refused() -> None:
    small = case(7)
    theta = small.start()
    dual = small.prove(theta).dual
    with pytest.raises(ProofError, match="is for the squared loss"):
        small.prove(theta, dual=dataclasses.replace(dual, loss="squared"))
    for wrong in (3.0, float("nan")):
        damaged = dual.alpha.clone()
        damaged[0] = wrong
        with pytest.raises(ProofError, match="damaged"):
            small.prove(theta, dual=dataclasses.replace(dual, alpha=damaged))
    for torn in (dual.subspace[1:], dual.subspace * torch.nan, dual.alpha):
        with pytest.raises(ProofError, match="damaged"):
            small.prove(theta, dual=dataclasses.replace(dual, subspace=torn))


def test_a_misleading_subspace_does_not_change_what_is_proven() -> None:
    small = case(13, size=12)
    theta = small.start()
    dual = small.prove(theta).dual
    random = torch.Generator().manual_seed(0)
    for subspace in (dual.subspace[:, :0], torch.randn(dual.subspace.shape, generator=random)):
        proof = small.prove(theta, dual=dataclasses.replace(dual, subspace=subspace))
        assert proof.gap == pytest.approx(small.prove(theta, dual=dual).gap, rel=1e-6)


@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
def test_rows_of_weight_zero_count_in_the_penalty_alone(bias: bool) -> None:
    small = case(8, bias=bias)
    small.interactions.weight[:3] = 0
    theta = small.trained(small.start())
    proof = small.prove(theta)
    assert proof.objective == pytest.approx(small.value(theta), rel=1e-12)
    assert proof.relative_gap <= 1e-8


def test_without_retained_rows_everything_is_optimal() -> None:
    small = case(9)
    small.interactions.delete(np.arange(len(small.interactions)))
    proof = small.prove(torch.zeros_like(small.start()))
    assert (proof.objective, proof.gap, proof.rms_bound, proof.sigma, proof.retained) == (0, 0, 0, 0, 0)


def test_the_same_generator_gives_the_same_proof() -> None:
    small = case(10)
    first, second = small.prove(small.start()), small.prove(small.start())
    assert (first.gap, first.sigma) == (second.gap, second.sigma)
    assert first.dual.alpha.equal(second.dual.alpha)


@given(st.lists(st.floats(-60, 60), min_size=1, max_size=20), seeds)
def test_the_objective_is_off_by_no_more_than_it_says(wanted: list[float], seed: int) -> None:
    """Scores up to 60, where the loss is all rounding; one user and as many items as scores."""
    n = len(wanted)
    label = np.random.default_rng(seed).integers(0, 2, n).astype(np.float32)
    user, item = np.zeros(n, dtype=np.int32), np.arange(n, dtype=np.int32)
    table = Interactions(Columns(user, item, label, np.ones(n, dtype=np.float32), None, np.arange(n)), 1, n)
    duality = BilinearDuality.of(table, "bce", l2=0.5, rank=1, bias=False)
    theta = torch.tensor([1.0, *wanted], dtype=torch.float64)[:, None]
    found = objective(theta, duality.scores(theta), duality)
    losses = [math.log1p(math.exp(-abs(s))) + max(s, 0) - y * s for s, y in zip(wanted, label.tolist(), strict=True)]
    exact = math.fsum(losses) + 0.25 * (n + math.fsum(s * s for s in wanted))
    assert abs(found.value - exact) <= found.error + 1e-15 * exact


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.weight.fill(-1), "negative weight"),
        (lambda table: table.label.fill(np.nan), "not finite"),
        (lambda table: table.label.fill(2), "outside the range of the bce loss"),
    ],
)
def test_data_without_a_convex_objective_is_refused(change: Callable[[Interactions], None], message: str) -> None:
    small = case(11)
    change(small.interactions)
    with pytest.raises(ProofError, match=message):
        small.prove(small.start())


def test_tables_that_do_not_fit_are_refused() -> None:
    small = case(12, rank=2)
    theta = small.start()
    with pytest.raises(ProofError, match="a model of rank 2 with 0 bias columns"):
        small.prove(theta[:, :1])
    with pytest.raises(ProofError, match="not finite"):
        small.prove(theta * torch.nan)


@given(st.floats(0, 1), st.floats(0.01, 1))
def test_the_best_scale_is_the_top_of_a_concave_function(top: float, highest: float) -> None:
    def value(c: float) -> float:
        return -((c - top) ** 2)

    found = best_scale(value, highest)
    assert found == pytest.approx(min(top, highest), abs=2e-4 * highest)
    assert value(found) >= value(highest)
