"""Blocks that have a matrix in common, against the blocks that are never built."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from ifru.curvature.cache import CurvatureCache
from ifru.curvature.common import AlikeRows
from ifru.curvature.factors import factor_counts
from ifru.curvature.preconditioner import inverse_blocks, whole
from ifru.interactions import Interactions
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.kernels.dispatch import torch_only
from ifru.models import model_of
from ifru.models.ials import IALSConfig
from ifru.objective import Linearised

CPU = torch.device("cpu")
RANK = 12
PATHS = pytest.mark.parametrize("path", ["compiled", "torch"])
WEIGHTINGS = pytest.mark.parametrize(
    ("alpha", "penalty"), [(1.0, "plain"), (1.0, "frequency"), (3.0, "plain"), (0.5, "plain")]
)


@pytest.fixture
def table() -> Interactions:
    """Positives alone, some pairs twice; rows of few interactions, of many, and of none."""
    recorded = generate(60, 50, 300, seed=5)
    recorded.item[:40], recorded.user[:40] = recorded.item[40:80], recorded.user[40:80]
    train = split(replace(recorded, value=None), LabelRule.parse("positive:0"), 0.1, seed=0).train
    train.delete(train.incidence.of(np.array([3, 70])))
    return train


def compare(point: Linearised, rows: np.ndarray, x: torch.Tensor, close: float) -> None:
    """Hold M⁻¹x of rows, as a whole and in two sets, and the decrements against the blocks."""
    exact = torch.einsum("skj,sj->sk", inverse_blocks(point, torch.from_numpy(rows)), x)
    found = whole(point, rows)
    torch.testing.assert_close(found.apply(x), exact, rtol=close, atol=close)
    torch.testing.assert_close(found.decrements(x), (x * exact).sum(1).double(), rtol=close, atol=close)
    halves = found.split(17)
    apart = torch.cat([half.apply(some) for half, some in zip(halves, (x[:17], x[17:]), strict=True)])
    torch.testing.assert_close(apart, exact, rtol=close, atol=close)


def point_of(table: Interactions, path: str, alpha: float, penalty: str, dtype: torch.dtype) -> Linearised:
    config = IALSConfig.model_validate({"rank": RANK, "l2": 2.0, "alpha": alpha, "penalty": penalty})
    with torch_only() if path == "torch" else nullcontext():
        objective = model_of(config).objective(table, CPU, dtype)
    theta = torch.randn(len(objective.ridge), RANK, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theta[objective.ridge == 0] = 0
    return objective.at(theta.to(dtype))


@PATHS
@WEIGHTINGS
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_they_are_inverted_as_if_they_were_built(
    table: Interactions, path: str, alpha: float, penalty: str, dtype: torch.dtype, close: float
) -> None:
    point, rows = point_of(table, path, alpha, penalty, dtype), np.arange(0, 110, 2)
    x = torch.randn(len(rows), RANK, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    with torch_only() if path == "torch" else nullcontext():
        compare(point, rows, x, close)


def test_nothing_is_held_of_rows_whose_interactions_weigh_as_much_as_none(table: Interactions) -> None:
    pairs = table.user * np.int64(table.items) + table.item
    table.delete(np.setdiff1d(np.arange(len(table)), np.unique(pairs, return_index=True)[1]))
    point = point_of(table, "compiled", 1.0, "plain", torch.float64)
    assert not factor_counts(point.objective).any()
    cache = CurvatureCache(point.objective, 1 << 20)
    assert cache.capacity == 0
    parts = cache.preconditioner(point, torch.arange(110)).parts
    assert sum(len(part.at) for part in parts if isinstance(part, AlikeRows)) == 110
    for rows in (np.arange(110), np.arange(1, 110, 2)):
        x = torch.randn(len(rows), RANK, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        compare(point, rows, x, 1e-10)


@WEIGHTINGS
def test_factors_are_counted_as_if_what_is_deleted_had_never_been_there(
    table: Interactions, alpha: float, penalty: str
) -> None:
    point = point_of(table, "compiled", alpha, penalty, torch.float64)
    random = np.random.default_rng(0)
    for _ in range(3):
        deleted = table.delete(random.choice(len(table), 40, replace=False))
        point = point.objective.remove(point, deleted).point
        fresh = point_of(table, "compiled", alpha, penalty, torch.float64)
        np.testing.assert_array_equal(factor_counts(point.objective), factor_counts(fresh.objective))
