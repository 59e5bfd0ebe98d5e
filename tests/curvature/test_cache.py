"""The curvature cache: what it hands out are the inverses of the blocks, whatever happened and whatever it may hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ifru.curvature.cache import STALENESS, CurvatureCache
from ifru.curvature.preconditioner import Preconditioner, inverse_blocks
from ifru.interactions import Columns, Interactions
from ifru.models import MFConfig, model_of
from ifru.objective import Linearised, Objective

WIDTH = 8
PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])


class Setting:
    """A random model on random data: users 0 to 2 have 1 interaction each, the others 40; 30 items."""

    def __init__(self, dtype: torch.dtype = torch.float64, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        user = np.concatenate([np.arange(3), np.repeat(np.arange(3, 20), 40)]).astype(np.int32)
        count = len(user)
        columns = Columns(
            user=user,
            item=random.integers(0, 30, count).astype(np.int32),
            label=random.integers(0, 2, count).astype(np.float32),
            weight=random.uniform(0.5, 2, count).astype(np.float32),
            time=None,
            origin=np.arange(count),
        )
        table = Interactions(columns, 20, 30)
        self.objective: Objective = model_of(MFConfig(rank=WIDTH, l2=0.05)).objective(table, torch.device("cpu"), dtype)
        self.point: Linearised = self.objective.at(torch.from_numpy(random.normal(size=(50, WIDTH))).to(dtype))
        self.rows = torch.arange(50)
        self.random = random

    def cache(self, places: int = 50) -> CurvatureCache:
        return CurvatureCache(self.objective, places * WIDTH**2 * self.point.theta.element_size())

    def delete(self, cache: CurvatureCache, interactions: np.ndarray) -> None:
        gone = self.objective.interactions.delete(interactions)
        cache.remove(self.point, gone)
        self.point = self.objective.remove(self.point, gone).point

    def some(self, count: int) -> np.ndarray:
        return self.random.choice(np.flatnonzero(self.objective.interactions.alive), count, replace=False)

    def asked(self, cache: CurvatureCache, rows: Tensor | None = None) -> Preconditioner:
        return cache.preconditioner(self.point, self.rows if rows is None else rows)

    def apart(self, cache: CurvatureCache) -> Tensor:
        """By how much what is handed out differs from rebuilt inverses, relatively, row by row."""
        unit = torch.eye(WIDTH, dtype=self.point.theta.dtype).expand(50, WIDTH, WIDTH)
        preconditioner = self.asked(cache)
        found = torch.stack([preconditioner.apply(unit[:, :, k]) for k in range(WIDTH)], dim=2)
        exact = inverse_blocks(self.point, self.rows)
        return (found - exact).flatten(1).norm(dim=1) / exact.flatten(1).norm(dim=1).clamp(min=1e-30)


@PRECISIONS
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), batches=st.lists(st.integers(0, 40), min_size=1, max_size=8))
def test_deletions_are_taken_out_exactly(dtype: torch.dtype, tolerance: float, seed: int, batches: list[int]) -> None:
    setting = Setting(dtype, seed)
    cache = setting.cache()
    setting.asked(cache)
    for count in batches:
        setting.delete(cache, setting.some(count))
        cache.finish_deletions()
    assert float(setting.apart(cache).max()) <= tolerance


def test_few_deletions_are_down_dates_and_build_nothing() -> None:
    setting = Setting()
    cache = setting.cache()
    setting.asked(cache)
    built = cache.counters.misses
    setting.delete(cache, setting.objective.interactions.rows_of_user(5)[:2])
    setting.asked(cache)
    assert cache.counters.down_dates >= 2
    assert (cache.counters.misses, cache.counters.rebuilds) == (built, 0)


def test_a_row_that_lost_much_is_built_anew() -> None:
    setting = Setting()
    cache = setting.cache()
    setting.asked(cache, torch.tensor([5]))
    setting.delete(cache, setting.objective.interactions.rows_of_user(5)[:30])
    assert cache.counters.down_dates == 0
    setting.asked(cache, torch.tensor([5]))
    assert cache.counters.rebuilds == 1
    assert float(setting.apart(cache).max()) <= 1e-10


def test_deletions_add_no_staleness() -> None:
    setting = Setting()
    cache = setting.cache()
    setting.asked(cache)
    for one in setting.objective.interactions.rows_of_user(5)[:8]:
        setting.delete(cache, np.array([one]))
    setting.asked(cache)
    assert cache.counters.rebuilds == 0
    assert cache.counters.down_dates == 16


def test_a_block_is_rebuilt_once_its_inputs_have_moved_far() -> None:
    setting = Setting()
    cache = setting.cache()
    setting.asked(cache)
    theta = setting.point.theta
    setting.point = setting.objective.at(theta + 0.01 * theta.roll(1, 0))
    cache.add_staleness(setting.rows.numpy(), 0.8 * STALENESS)
    assert float(setting.apart(cache).max()) > 1e-4
    cache.add_staleness(setting.rows.numpy(), 0.8 * STALENESS)
    assert float(setting.apart(cache).max()) <= 1e-10


def test_no_trace_of_a_deletion_stays_where_its_inputs_had_moved() -> None:
    setting = Setting()
    cache = setting.cache()
    setting.asked(cache)
    setting.point.theta.mul_(1.02)
    cache.add_staleness(setting.rows.numpy(), 0.02)
    gone = setting.objective.interactions.rows_of_user(5)[:1]
    item = 20 + int(setting.objective.interactions.item[gone[0]])
    setting.delete(cache, gone)
    assert cache.counters.down_dates == 2
    cache.finish_deletions()
    exact = setting.apart(cache)[[5, item]]
    assert cache.counters.rebuilds == 2
    assert float(exact.max()) <= 1e-10


def test_rows_of_small_degree_hold_no_block() -> None:
    setting = Setting()
    cache = setting.cache()
    degree = setting.objective.interactions.degree
    assert cache.capacity == int((degree > WIDTH / 4).sum())
    assert float(setting.apart(cache)[:3].max()) <= 1e-10
    assert cache.counters.gram == int((degree <= WIDTH / 4).sum())


def test_a_row_that_has_become_small_gives_up_its_place() -> None:
    setting = Setting()
    cache = setting.cache(places=2)
    setting.asked(cache, torch.tensor([5, 6]))
    setting.delete(cache, setting.objective.interactions.rows_of_user(5)[:39])
    setting.asked(cache, torch.tensor([5, 7]))
    setting.asked(cache, torch.tensor([6, 7]))
    assert cache.counters.evictions == 0
    assert cache.counters.misses == 3
    assert float(setting.apart(cache)[5]) <= 1e-10


def test_the_row_used_longest_ago_makes_room() -> None:
    setting = Setting()
    cache = setting.cache(places=2)
    for rows in ([5], [6], [5], [7]):
        setting.asked(cache, torch.tensor(rows))
    assert (cache.counters.misses, cache.counters.hits, cache.counters.evictions) == (3, 1, 1)
    setting.asked(cache, torch.tensor([5, 7]))
    assert cache.counters.hits == 3


def test_free_places_are_taken_before_anybody_makes_room() -> None:
    setting = Setting()
    cache = setting.cache(places=4)
    setting.asked(cache, torch.tensor([5, 6]))
    setting.asked(cache, torch.tensor([6]))
    setting.asked(cache, torch.tensor([7, 8, 9]))
    assert cache.counters.evictions == 1
    setting.asked(cache, torch.tensor([6, 7, 8, 9]))
    assert cache.counters.hits == 1 + 4
    debt = torch.ones(50, WIDTH, dtype=torch.float64)
    exact = inverse_blocks(setting.point, setting.rows).sum((1, 2))
    torch.testing.assert_close(cache.decrements(setting.point, setting.rows, debt), exact)


@pytest.mark.parametrize("places", [0, 1, 20, 50])
def test_decrements_are_exact_whatever_the_budget(places: int) -> None:
    setting = Setting()
    cache, debt = setting.cache(places), torch.from_numpy(setting.random.normal(size=(50, WIDTH)))
    exact = inverse_blocks(setting.point, setting.rows)
    expected = torch.einsum("sk,skj,sj->s", debt, exact, debt)
    for _ in range(2):
        torch.testing.assert_close(cache.decrements(setting.point, setting.rows, debt), expected)
    assert cache.counters.evictions == 0


def test_more_rows_than_the_budget_holds_build_what_fits_once() -> None:
    setting = Setting()
    cache = setting.cache(places=20)
    for _ in range(3):
        fallback = setting.asked(cache).fallback
        assert fallback is not None
        assert len(fallback.rows) == 50 - 3 - 20
    assert cache.counters.hits == 2 * 20
