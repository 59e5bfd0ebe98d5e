"""The proof of models whose rows are passed along a graph, against problems that are written out densely."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ifru.evaluation.tightened import tightened
from ifru.objective.parameters import Parameters
from ifru.proof import ProofError
from ifru.proof.duality import Spectrum
from tests.proof.graphs import GraphCase, graph_case

numerical = settings(max_examples=30, deadline=None)
few = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 2**31)
layers = st.integers(1, 3)
graphs = st.sampled_from(["positives", "all"])
losses = st.sampled_from(["bce", "squared"])
KINDS = [(loss, graph) for loss in ("bce", "squared") for graph in ("positives", "all")]


def spectrum(small: GraphCase, alpha: Tensor) -> Spectrum:
    """To a relative accuracy of 1e-10."""
    duality = small.duality

    def enough(lower: float, upper: float) -> bool:
        return upper - lower <= 1e-10 * abs(lower)

    start, random = torch.zeros(small.rows, 0, dtype=torch.float64), torch.Generator().manual_seed(3)
    return duality.spectrum(alpha, start, random, enough, lambda: None)


def slopes(small: GraphCase, theta: Tensor) -> Tensor:
    """w·ℓ'(s) [N]."""
    score, (label, weight) = small.scores(theta), small.labels
    return weight * ((torch.sigmoid(score) if small.config.loss == "bce" else score) - label)


@numerical
@given(seeds, layers, graphs, st.sampled_from(["mixed", "positive", "negative", "of all sizes"]), st.integers(2, 14))
def test_sigma_is_bounded_from_both_sides(seed: int, layers: int, graph: str, kind: str, size: int) -> None:
    """With one sign of α, one end of the spectrum is much longer than the other."""
    small = graph_case(seed, layers=layers, graph=graph, size=size)
    alpha = torch.randn(len(small.ends[0]), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if kind == "of all sizes":
        alpha = alpha * 10.0**alpha
    elif kind != "mixed":
        alpha = alpha.abs() if kind == "positive" else -alpha.abs()
    exact = small.spectrum(alpha)
    found, size_of_all = spectrum(small, alpha), float(np.abs(exact).max(initial=0))
    assert found.lower <= exact[-1] + 1e-13 * size_of_all
    assert exact[-1] - 1e-13 * size_of_all <= found.upper <= exact[-1] + 1e-10 * size_of_all


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_sigma_is_bounded_where_more_rows_are_than_are_looked_at(layers: int, sign: int) -> None:
    """All interactions pull one way, but for a few: 900 rows, and an end of the spectrum that is far longer."""
    small = graph_case(5, layers=layers, graph="all", size=450)
    random = torch.Generator().manual_seed(1)
    alpha = sign * (1 + 0.3 * torch.randn(len(small.ends[0]), generator=random, dtype=torch.float64))
    exact = small.spectrum(alpha)
    found = spectrum(small, alpha)
    assert found.lower <= exact[-1] <= found.upper <= found.lower + 1e-9 * float(np.abs(exact).max())
    assert found.failure <= 1e-12


@numerical
@given(seeds, layers, graphs, losses, st.floats(0.01, 3))
def test_scores_and_objective_are_those_of_the_written_out_problem(
    seed: int, layers: int, graph: str, loss: str, scale: float
) -> None:
    small = graph_case(seed, layers=layers, graph=graph, loss=loss)
    theta = scale * small.start(seed)
    found = small.duality.scores(theta)
    exact = np.asarray(small.propagation.numpy(), dtype=np.longdouble) @ theta.numpy().astype(np.longdouble)
    user, item = (end.numpy() for end in small.ends)
    off = np.abs(found.value.numpy() - (exact[user] * exact[item]).sum(1))
    assert bool((off <= found.error.numpy() * 2 + 1e-300).all())
    assert bool((found.error <= 1e-12 * (1 + theta.square().sum())).all())
    assert small.prove(theta).objective == pytest.approx(float(small.value(theta)), rel=1e-12)


@few
@given(seeds, layers, graphs, losses, st.sampled_from([0.02, 0.1, 1.0]), st.floats(1e-2, 2))
def test_the_gap_of_any_parameters_covers_what_any_training_gains(
    seed: int, layers: int, graph: str, loss: str, l2: float, scale: float
) -> None:
    small = graph_case(seed, layers=layers, graph=graph, loss=loss, l2=l2, size=3, rank=3)
    optimum = small.optimum()
    best, near = float(small.value(optimum)), small.prove(optimum)
    assert near.gap >= 0
    for theta in (scale * small.start(seed), optimum + 0.01 * scale * small.start(seed)):
        proof = small.prove(theta)
        assert proof.gap >= proof.objective - best
        assert proof.dual_value <= best
        assert proof.rms_bound + near.rms_bound >= small.distance(theta, optimum)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize(("loss", "graph"), KINDS)
@pytest.mark.parametrize("seed", range(2))
def test_the_gap_closes_at_the_optimum(seed: int, loss: str, graph: str, layers: int) -> None:
    small = graph_case(600 + seed, loss=loss, graph=graph, layers=layers, l2=(0.05, 0.1)[seed])
    optimum = small.optimum()
    proof = small.prove(optimum)
    assert 0 <= proof.relative_gap <= 1e-8
    assert proof.sigma_over_lambda <= 1 + 1e-8
    assert proof.direction is None or proof.direction.decrease <= 1e-8 * proof.objective
    assert proof.retained == small.interactions.retained
    assert proof.failure_probability <= 1e-12
    # In the eigenvalue λ, as often as there are dimensions in use: the proof is not from an empty constraint.
    used = int((torch.linalg.svdvals(small.degree.sqrt()[:, None] * optimum) > 1e-4).sum())
    top = small.spectrum(slopes(small, optimum))
    assert used > 0
    assert int((np.abs(top - small.config.l2) < 1e-6 * small.config.l2).sum()) >= used


@few
@given(seeds, layers, graphs, losses, st.floats(1e-4, 1))
def test_the_dual_point_of_the_optimum_serves_every_version(
    seed: int, layers: int, graph: str, loss: str, noise: float
) -> None:
    small = graph_case(seed, layers=layers, graph=graph, loss=loss, l2=0.2, size=3, rank=3)
    optimum = small.optimum()
    best = small.prove(optimum)
    theta = optimum + noise * small.start(seed)
    suboptimal = float(small.value(theta)) - best.objective
    proof = small.prove(theta, dual=best.dual)
    assert suboptimal <= proof.gap <= suboptimal + 2 * best.gap + 1e-9 * best.objective
    assert proof.direction is None


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(("loss", "graph"), KINDS)
def test_the_bound_after_a_deletion_covers_the_distance_to_the_retrained_model(
    loss: str, graph: str, layers: int
) -> None:
    """The deleted interactions leave the loss, the penalty and the graph."""
    before = graph_case(31, loss=loss, graph=graph, layers=layers, l2=0.1, size=6)
    stale = before.optimum()
    table = before.interactions.copy()
    table.delete(np.flatnonzero(table.alive)[::7])
    after = GraphCase(table, before.config)
    retrained = after.optimum()
    theta = Parameters.unstacked(stale, table.users)
    found = tightened(theta, table, after.config, random=torch.Generator().manual_seed(7))
    true, left = after.distance(stale, retrained), after.prove(retrained).rms_bound
    assert true - left <= found.proof.rms_bound <= 6 * true
    assert found.proof.gap <= found.own.gap
    assert found.proof.failure_probability <= 1e-12
    assert not found.rank_limited


@pytest.mark.parametrize(("loss", "graph"), KINDS)
def test_too_small_a_rank_leaves_a_gap_and_a_way_down(loss: str, graph: str) -> None:
    small = graph_case(21, loss=loss, graph=graph, l2=0.01, rank=1, size=8)
    theta = small.optimum()
    proof = small.prove(theta)
    assert proof.relative_gap > 1e-3
    assert proof.direction is not None
    grown = torch.cat([theta, proof.direction.columns], 1)
    assert proof.objective - float(small.value(grown)) == pytest.approx(proof.direction.decrease, rel=1e-6)
    assert proof.direction.decrease > 1e-4 * proof.objective


def test_rows_without_interactions_stay_zero() -> None:
    small = graph_case(21, l2=0.01, rank=1, size=8)
    table = small.interactions
    table.delete(table.rows_of_user(3))
    table.delete(table.rows_of_item(4))
    bare = GraphCase(table, small.config)
    direction = bare.prove(bare.optimum()).direction
    assert direction is not None
    assert not direction.columns[[3, table.users + 4]].any()


def test_parameters_that_are_not_stationary_ask_for_no_dimension() -> None:
    small = graph_case(22, l2=0.03, size=6)
    optimum = small.optimum()
    assert small.prove(optimum).relative_gap <= 1e-8
    short = small.prove(0.99 * optimum)
    assert short.sigma_lower > small.config.l2
    assert short.direction is None


def test_without_edges_each_row_keeps_its_share() -> None:
    small = graph_case(23, size=5)
    small.interactions.label[:] = 0
    bare = GraphCase(small.interactions, small.config)
    proof = bare.prove(bare.optimum())
    assert proof.relative_gap <= 1e-8


def test_without_retained_rows_everything_is_optimal() -> None:
    small = graph_case(24)
    small.interactions.delete(np.arange(len(small.interactions)))
    proof = small.prove(torch.zeros(small.rows, small.config.rank, dtype=torch.float64))
    assert (proof.objective, proof.gap, proof.rms_bound, proof.sigma, proof.retained) == (0, 0, 0, 0, 0)


def test_labels_that_are_all_alike_are_no_trouble() -> None:
    """All scores want to be negative; no row can be passed on such that T has an eigenvalue far above zero."""
    small = graph_case(25, graph="all", layers=1, size=2)
    small.interactions.label[:] = 0
    bare = GraphCase(small.interactions, small.config)
    theta = bare.optimum()
    proof = bare.prove(theta)
    assert proof.gap >= 0
    assert proof.relative_gap <= 1e-8


def test_a_dual_point_with_the_subspace_of_another_family_is_refused() -> None:
    small = graph_case(26)
    theta = small.start(0)
    dual = small.prove(theta).dual
    assert len(dual.subspace) == small.rows
    with pytest.raises(ProofError, match="damaged"):
        small.prove(theta, dual=dataclasses.replace(dual, subspace=dual.subspace[: small.interactions.users]))
