"""An update is finite and leaves no more than nothing done, or there is none."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ifru.curvature.cache import CurvatureCache
from ifru.engine.engine import Engine, UpdateFailed
from ifru.engine.settings import EngineSettings, SupportName
from ifru.engine.state import State
from ifru.engine.update import Update
from ifru.interactions import Dataset, Deletion
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded, split
from ifru.models import MFConfig, model_of
from ifru.objective.parameters import Parameters
from ifru.training import fit

USERS, ITEMS, ROWS = 40, 30, 600
CPU = torch.device("cpu")
MEASURED_ANEW = 1.1
"""What nothing done leaves is 1 with the blocks that were at hand; blocks that are built anew measure a little else."""
SUPPORTS: tuple[SupportName, ...] = ("push", "residual", "k_hop", "global", "auto")


@cache
def trained(seed: int, l2: float) -> tuple[Parameters, Dataset]:
    """A small model whose penalty is too small for it: its scores are large, and its curvature nearly vanishes."""
    random = np.random.default_rng(seed)
    pairs = random.permutation(USERS * ITEMS)[:ROWS]
    user, item = (pairs // ITEMS).astype(np.int32), (pairs % ITEMS).astype(np.int32)
    liked = random.normal(size=(USERS, 3)) @ random.normal(size=(3, ITEMS)) > 0
    names = [f"user {n}" for n in range(USERS)], [f"item {n}" for n in range(ITEMS)]
    recorded = Recorded(user, item, liked[user, item].astype(np.float64), None, *names)
    dataset = split(recorded, LabelRule.parse("liked"), holdout=0.2, seed=0)
    theta = fit(dataset.train, MFConfig(rank=4, l2=l2), seed=0, device=CPU, dtype=torch.float32).theta
    return Parameters.unstacked(theta, USERS), dataset


def engine_on(seed: int, l2: float, **chosen: object) -> Engine:
    tables, dataset = trained(seed, l2)
    return Engine(
        MFConfig(rank=4, l2=l2),
        tables.to("cpu", copy=True),
        dataset.copy(),
        EngineSettings.model_validate(chosen),
    )


def erase(engine: Engine, *users: int) -> Update:
    return engine.apply(Deletion.union([engine.dataset.of_user(user) for user in users]))


def assert_sound(engine: Engine, update: Update) -> None:
    assert all(bool(values.isfinite().all()) for _, values in update.parameters.tables.values())
    assert update.influence <= MEASURED_ANEW
    assert engine.settle().influence <= MEASURED_ANEW


@pytest.mark.parametrize(("seed", "l2"), [(0, 0.003), (0, 0.001), (2, 0.001), (2, 0.0001), (3, 0.0001)])
def test_a_push_that_runs_away_is_taken_back_and_all_rows_answer(seed: int, l2: float) -> None:
    engine, random, methods = engine_on(seed, l2, support="push"), np.random.default_rng(seed), set()
    for _ in range(8):
        update = erase(engine, *random.permutation(USERS)[:2].tolist())
        assert_sound(engine, update)
        methods.add(update.method)
    assert "global" in methods


@given(
    st.integers(0, 5), st.sampled_from([0.01, 0.003, 0.001, 0.0001]), st.sampled_from(SUPPORTS), st.integers(0, 2**16)
)
@settings(max_examples=25, deadline=None)
def test_no_update_leaves_more_than_nothing_done(seed: int, l2: float, support: SupportName, draws: int) -> None:
    engine, random = engine_on(seed, l2, support=support), np.random.default_rng(draws)
    for _ in range(3):
        assert_sound(engine, erase(engine, *random.permutation(USERS)[:2].tolist()))


def test_a_refinement_that_leaves_more_moves_nothing() -> None:
    engine = engine_on(6, 0.001, support="global")
    for user in (3, 5):
        erase(engine, user)
        before, owed = engine.parameters.stacked(), engine.settle().influence
        update = engine.refine()
        assert update is not None
        assert (len(update.parameters), update.reason) == (0, "steps")
        assert torch.equal(engine.parameters.stacked(), before)
        assert update.influence == pytest.approx(owed)


def test_what_is_put_back_is_where_it_was_and_its_gradient_is_exact() -> None:
    tables, dataset = trained(0, 0.003)
    objective = model_of(MFConfig(rank=4, l2=0.003)).objective(dataset.train.copy(), CPU, torch.float64)
    state = State(objective, tables.stacked(), CurvatureCache(objective, 1 << 30))
    before = state.point.theta.clone()
    random = torch.Generator().manual_seed(0)
    for rows in (torch.tensor([0, 3, 41]), torch.tensor([3, 5])):
        state.move(rows, torch.randn(len(rows), 4, generator=random, dtype=torch.float64) * 1e200)
    state = state.put_back()
    assert torch.equal(state.point.theta, before)
    torch.testing.assert_close(state.point.gradient, objective.at(before).gradient, rtol=0, atol=1e-12)
    fresh = State(objective, before, CurvatureCache(objective, 1 << 30))
    torch.testing.assert_close(state.decrements, fresh.decrements)
    assert state.cache.counters.misses > fresh.cache.counters.misses, "the counters began anew"


def test_a_deletion_that_leaves_a_block_without_a_minimum_is_refused_with_what_to_look_for() -> None:
    tables, dataset = trained(0, 0.01)
    dataset = dataset.copy()
    rows = np.flatnonzero(dataset.train.user == 7)
    # What is left once the others are gone has no minimum.
    dataset.train.weight = dataset.train.weight.copy()
    dataset.train.weight[rows[0]] = -0.9
    dataset.train.weight[rows[1:]] = 50
    engine = Engine(MFConfig(rank=4, l2=0.01), tables.to("cpu", copy=True), dataset, EngineSettings())
    with pytest.raises(UpdateFailed, match=r"not positive definite; look for weights, labels or parameters"):
        engine.apply(Deletion(rows[1:], np.empty(0, dtype=np.int64)))
