"""Intervals for what the exactly retrained model says of chosen pairs: they hold the truth; forged ones are refused."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ifru.evaluation.chosen_pairs import PairProver
from ifru.interactions import Interactions
from ifru.models.neumf import NeuMFConfig
from ifru.objective.tilted import ChosenPairs
from ifru.proof import PairDual, ProofError, decode_pair_dual, encode_pair_dual, interval
from ifru.proof.chosen_pairs import scored
from ifru.training.newton import initial
from tests.proof.chosen import FAMILIES, Problem, auditor, problem

_EXACT = 1e-7
"""How far what stands for the optimum can be from it."""


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 8))
def test_the_interval_holds_what_the_optimum_says(family: str, seed: int, count: int) -> None:
    small = problem(family, seed)
    pairs = small.pairs(seed, count)
    found, truth = small.proven(pairs), small.said(small.optimum, pairs)
    assert found.low - _EXACT <= truth <= found.high + _EXACT
    assert found.failure_probability <= 1e-11


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_prover_has_taken_is_free_once_nobody_uses_it(family: str) -> None:
    """And not when objects that refer to each other are next looked for, which a daemon does rarely."""
    small = problem(family, 0)
    gc.disable()
    try:
        prover = small.prover()
        prover.prove(small.pairs(0), auditor())
        left = weakref.ref(prover)
        del prover
        assert left() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_interval_is_narrow_beside_what_pairs_say(family: str) -> None:
    widths, sizes = list[float](), list[float]()
    for seed in range(8):
        small = problem(family, seed)
        pairs = small.pairs(seed)
        found = small.proven(pairs)
        widths.append(found.high - found.low)
        sizes.append(abs(small.said(small.optimum, pairs)))
    assert np.median(widths) < 1e-3 * max(np.median(sizes), 0.1)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.floats(0.01, 3), reward=st.sampled_from([2.0**-6, 0.25, 1.0, 8.0]))
@pytest.mark.parametrize("family", FAMILIES)
def test_any_dual_points_and_any_solution_give_an_interval_that_holds(
    family: str, seed: int, scale: float, reward: float
) -> None:
    """As an opponent may choose them."""
    small = problem(family, seed % 4)
    pairs, duality = small.pairs(seed), small.duality
    random, held = np.random.default_rng(seed), small.proven(pairs).dual

    def forged(side: Tensor) -> Tensor:
        retained = duality.retained
        noise = scale * torch.from_numpy(random.normal(size=len(side)))
        return (side + noise).clamp(retained.lowest, retained.highest)

    duals = [replace(side, alpha=forged(side.alpha)) for side in (held.above, held.below)]
    solution = held.solution + scale * initial(small.objective, seed)
    found = interval(PairDual(pairs, solution, duals[0], duals[1], reward), duality, random=auditor())
    truth = small.said(small.optimum, pairs)
    assert found.low - _EXACT <= truth <= found.high + _EXACT


@pytest.mark.parametrize("loss", ["plain", "squared"])
@pytest.mark.parametrize("seed", range(4))
def test_both_ends_are_those_of_a_dense_computation(loss: str, seed: int) -> None:
    small = problem(loss, seed)
    pairs, duality = small.pairs(seed), small.duality
    # With so large a reward, rounding does not show.
    dual, retained = replace(small.proven(pairs).dual, reward=2.0**-5), small.duality.retained
    table, lambda_ = small.interactions, small.config.l2
    root = torch.where(retained.degree > 0, retained.degree.clamp_min(1).rsqrt(), 0.0)
    best = small.objective.at(dual.solution).value
    ends = []
    for sign, side in ((1, dual.above), (-1, dual.below)):
        matrix = torch.zeros(table.users, table.items, dtype=torch.float64)
        matrix.index_put_((retained.user, retained.item), side.alpha, accumulate=True)
        matrix.index_put_((pairs.user, pairs.item), -sign * dual.reward * pairs.weight, accumulate=True)
        scaled = root[: table.users, None] * matrix * root[table.users :]
        scale = min(1.0, lambda_ / float(torch.linalg.matrix_norm(scaled, 2)))
        slope = scale * side.alpha / retained.weight
        below = -float((retained.weight * duality.loss.conjugate(slope, retained.label)).sum())
        ends.append(sign * (best - below) / (scale * dual.reward))
    found = interval(dual, duality, random=auditor())
    assert (found.high, found.low) == pytest.approx(tuple(ends), abs=1e-8)
    assert found.low <= ends[1] <= ends[0] <= found.high


def without(small: Problem, user: int) -> Problem:
    table = small.interactions.copy()
    table.delete(table.rows_of_user(user))
    return Problem(table, small.config)


@pytest.mark.parametrize("family", FAMILIES)
def test_pairs_of_a_user_who_has_nothing_left_score_zero_exactly_but_for_biases(family: str) -> None:
    small = without(problem(family, 3), 0)
    items = torch.arange(small.interactions.items)
    pairs = ChosenPairs(torch.zeros_like(items), items, torch.ones(len(items), dtype=torch.float64) / len(items))
    found, truth = small.proven(pairs), small.said(small.optimum, pairs)
    if "bias" in family:
        assert bool(scored(small.duality, pairs).any())
        assert found.low - _EXACT <= truth <= found.high + _EXACT
        assert found.high - found.low < 1e-3
    else:
        assert (found.low, found.high, truth) == (0, 0, 0)


def changed(dual: PairDual, **arrays: np.ndarray) -> PairDual:
    return decode_pair_dual(safetensors.numpy.save(safetensors.numpy.load(encode_pair_dual(dual)) | arrays))


@pytest.mark.parametrize("family", ["plain", "bias-squared", "graph", "ials", "bpr"])
def test_a_stored_dual_point_proves_what_it_proved_without_solving(family: str) -> None:
    small = problem(family, 2)
    found = small.proven(small.pairs(2))
    data = encode_pair_dual(found.dual)
    read = decode_pair_dual(data)
    assert encode_pair_dual(read) == data
    again = interval(read, small.duality, random=auditor())
    width = found.high - found.low
    assert (again.low, again.high) == pytest.approx((found.low, found.high), abs=0.1 * width)


def test_forged_dual_points_are_refused_with_the_reason() -> None:
    small = problem("plain", 4)
    dual = small.proven(small.pairs(4)).dual
    arrays = safetensors.numpy.load(encode_pair_dual(dual))
    size, users = len(arrays["above.alpha"]), small.interactions.users

    def refused(forged: PairDual, reason: str) -> None:
        with pytest.raises(ProofError, match=reason):
            interval(forged, small.duality, random=auditor())

    refused(changed(dual, **{"above.alpha": np.full(size, 3.0)}), "no slope of the loss")
    refused(changed(dual, **{"below.alpha": np.full(size, np.nan)}), "no slope of the loss")
    refused(
        changed(dual, **{"below.alpha": arrays["below.alpha"][:-1].copy()}), "only the data that it was computed on"
    )
    refused(changed(dual, **{"above.subspace": np.full((2, 2), np.inf, np.float32)}), "subspace")
    refused(changed(dual, reward=np.array([0.3])), "powers of two")
    refused(changed(dual, reward=np.array([-0.5])), "powers of two")
    refused(changed(dual, reward=np.array([np.nan])), "powers of two")
    refused(changed(dual, weight=np.full(len(dual.pairs), np.inf)), "weight is not finite")
    refused(changed(dual, weight=arrays["weight"][:-1].copy()), "no list of users, items and weights")
    refused(changed(dual, user=np.full(len(dual.pairs), users)), "whose user the data do not have")
    refused(changed(dual, item=np.full(len(dual.pairs), -1)), "whose item the data do not have")
    refused(changed(dual, solution=arrays["solution"][:-1].copy()), "solution is no table")
    refused(changed(dual, solution=np.full_like(arrays["solution"], np.nan)), "not finite")
    for wrong in (b"", encode_pair_dual(dual)[:-1], b"user,item\n1,2\n"):
        with pytest.raises(ProofError, match="no dual point of pairs can be read"):
            decode_pair_dual(wrong)


def test_a_dual_point_of_other_data_or_another_loss_is_refused() -> None:
    small = problem("plain", 5)
    dual = small.proven(small.pairs(5)).dual
    table: Interactions = small.interactions.copy()
    row = np.flatnonzero(table.alive)[:1]
    table.label[row] = 1 - table.label[row]
    with pytest.raises(ProofError, match="computed on other data"):
        interval(dual, Problem(table, small.config).duality, random=auditor())
    fewer = small.interactions.copy()
    fewer.delete(row)
    with pytest.raises(ProofError, match="serves only the data that it was computed on"):
        interval(dual, Problem(fewer, small.config).duality, random=auditor())
    other = Problem(small.interactions, small.config.model_copy(update={"loss": "squared"}))
    with pytest.raises(ProofError, match="for the bce loss"):
        interval(dual, other.duality, random=auditor())


def test_a_better_solution_and_its_dual_points_narrow_the_interval_of_any_version() -> None:
    small = problem("plain", 6)
    pairs, rough = small.pairs(6), small.parameters(initial(small.objective, 1))
    exact, found = small.proven(pairs), small.proven(pairs, rough)
    assert found.high - found.low <= 4 * (exact.high - exact.low)


def test_models_without_a_proof_are_refused() -> None:
    small, config = problem("plain", 0), NeuMFConfig(rank=4, l2=0.1)
    with pytest.raises(ProofError, match="no proof of chosen pairs is known for models of the kind 'neumf'"):
        PairProver(small.optimum, small.interactions, config)


def test_it_ends_where_it_is_told_to() -> None:
    small = problem("plain", 0)

    class Enough(Exception):
        """The end of a work that was told to end."""

    def check() -> None:
        raise Enough

    with pytest.raises(Enough):
        PairProver(small.parameters(initial(small.objective, 1)), small.interactions, small.config, check=check)
