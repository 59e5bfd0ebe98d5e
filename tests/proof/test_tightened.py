"""A version's bound with the dual point of a better solution: never below the truth, and near it."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.evaluation.tightened import Tightened, tightened
from ifru.interactions import Deletion
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models import MFConfig
from ifru.models.proving import prove_by
from ifru.objective.parameters import Parameters
from ifru.proof import ProofError
from ifru.training import fit, polish
from ifru.training.newton import Plan
from tests.proof.cases import Case, case

CPU = torch.device("cpu")
KINDS = [(loss, bias) for loss in ("bce", "squared") for bias in (False, True)]


def bounded(small: Case, theta: Tensor, solution: Tensor | None = None) -> Tightened:
    users = small.interactions.users
    better = None if solution is None else small.prove(solution)
    random = torch.Generator().manual_seed(7)
    return tightened(
        Parameters.unstacked(theta, users), small.interactions, small.config, random=random, solution=better
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("loss", "bias"), KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_the_bound_is_never_below_the_distance_to_the_retrained_model(
    seed: int, loss: str, bias: bool, dtype: torch.dtype
) -> None:
    """Versions that know nothing of a deletion, some of it, and nearly all; and one from a few sweeps of training."""
    before = case(400 + seed, loss=loss, bias=bias, l2=(0.03, 0.1, 0.3)[seed])
    stale = before.trained(before.start())
    after = before.without(0.1, seed)
    retrained = after.trained(after.start())
    left = after.prove(retrained).rms_bound
    started = after.trained(after.start(seed + 1), Plan(sweeps=2, steps=0))
    swept, stepped = (after.trained(stale, plan) for plan in (Plan(sweeps=1, steps=0), Plan(sweeps=0, steps=1)))
    for theta in (stale, swept, stepped, started):
        version = theta.to(dtype)
        true = after.distance(version.double(), retrained)
        for found in (bounded(after, version), bounded(after, version, retrained)):
            assert found.proof.rms_bound + left >= true
            assert found.proof.gap <= found.own.gap
            assert found.proof.failure_probability <= 1e-12


@dataclass(frozen=True)
class Updated:
    """What is proven of a version that the engine has updated, and how far it is from the retrained model."""

    found: Tightened
    true: float


def updated(seed: int, loss: str, bias: bool) -> Updated:
    """Generated data, a hundredth of which is deleted."""
    rule, l2 = (LabelRule.parse("rating>=4"), 0.1) if loss == "bce" else (LabelRule.parse("rating"), 0.3)
    dataset = split(generate(60, 40, 600, seed), rule, 0.2, seed)
    config = MFConfig(rank=12, l2=l2, loss=loss, bias=bias)
    theta = fit(dataset.train, config, seed=0, device=CPU, dtype=torch.float64).theta.float()
    engine = Engine(config, Parameters.unstacked(theta, dataset.train.users), dataset, EngineSettings(), CPU)
    rows = np.random.default_rng(seed).choice(len(dataset.train), 6, replace=False)
    engine.apply(Deletion(np.sort(rows), np.arange(0)))
    engine.settle()
    after, version = Case(dataset.train, config), engine.parameters.stacked()
    scratch = fit(dataset.train, config, seed=1, device=CPU, dtype=torch.float64).theta
    retrained = polish(dataset.train, config, scratch).theta
    return Updated(bounded(after, version), after.distance(version.double(), retrained))


def test_after_an_update_the_bound_is_within_twice_the_truth_and_the_versions_own_is_not() -> None:
    found = [updated(seed, loss, bias) for seed in range(3) for loss, bias in KINDS]
    ratios = [each.found.proof.rms_bound / each.true for each in found]
    assert min(ratios) >= 1
    assert statistics.median(ratios) <= 2
    assert max(ratios) <= 4
    assert not any(each.found.rank_limited for each in found)
    assert statistics.median(each.found.own.rms_bound / each.true for each in found) >= 10


def test_a_given_solution_gives_the_bound_that_solving_on_gives() -> None:
    small = case(420, l2=0.1)
    optimum = small.trained(small.start())
    theta = optimum + 1e-3
    alone, given = bounded(small, theta), bounded(small, theta, optimum)
    assert given.proof.rms_bound == pytest.approx(alone.proof.rms_bound, rel=1e-3)


@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
def test_too_small_a_rank_is_told_and_the_better_of_both_bounds_is_taken(bias: bool) -> None:
    small = case(21, bias=bias, l2=0.02, rank=1, size=10)
    optimum = small.trained(small.start())
    for theta in (optimum, small.trained(small.start(3), Plan(sweeps=2, steps=0))):
        found = bounded(small, theta)
        assert found.rank_limited
        given = small.prove(theta, dual=found.solution.dual)
        assert found.proof.gap == pytest.approx(min(found.own.gap, given.gap), rel=1e-6)


@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize("loss", ["bce", "squared"])
def test_the_lower_bound_of_a_proof_proves_other_parameters_as_its_dual_point_does(loss: str, bias: bool) -> None:
    small = case(424, loss=loss, bias=bias, l2=0.1)
    optimum = small.trained(small.start())
    known = small.prove(optimum)
    for theta in (optimum, optimum + 1e-6, optimum + 1e-2, small.start()):
        other = Parameters.unstacked(theta, small.interactions.users)
        by, given = prove_by(known, other, small.interactions, small.config), small.prove(theta, known.dual)
        assert by.gap == pytest.approx(given.gap, rel=1e-3, abs=1e-11 * given.objective)
        assert by.rms_bound == pytest.approx(given.rms_bound, rel=1e-3, abs=1e-5)
        assert by.objective == given.objective
        assert by.gap >= small.value(theta) - small.value(optimum)


def test_the_versions_own_dual_point_is_kept_where_it_is_the_better_one() -> None:
    small = case(421, l2=0.1)
    optimum = small.trained(small.start())
    found = bounded(small, optimum, small.start())
    assert found.proof.gap == found.own.gap


class Enough(Exception):
    """The end of a work that was told to end."""


def test_it_ends_at_the_first_check_that_raises() -> None:
    small = case(422, l2=0.1)
    tables = Parameters.unstacked(small.start(), small.interactions.users)
    for last in itertools.count(1):
        calls = 0

        def check(last: int = last) -> None:
            nonlocal calls
            calls += 1
            if calls == last:
                raise Enough

        try:
            tightened(tables, small.interactions, small.config, random=torch.Generator(), check=check)
        except Enough:
            assert calls == last
        else:
            assert calls == last - 1 > 20
            return


def test_tables_that_do_not_fit_the_data_are_refused_before_anything_is_solved() -> None:
    small = case(423)
    wrong = Parameters.of(torch.zeros(1, small.config.rank), torch.zeros(1, small.config.rank))
    with pytest.raises(ProofError, match="the user table is"):
        tightened(wrong, small.interactions, small.config, random=torch.Generator())
