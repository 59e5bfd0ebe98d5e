"""The curvature block of shared weights, held against the dense one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ifru.curvature.cache import EXACTNESS, STALENESS, CurvatureCache
from ifru.curvature.shared import DENSE, SharedCurvature
from ifru.objective.module import ModulePoint
from tests.models.modules import dense_system, drawn, module_config, objective_of, ratings


def _point(factory: str = "make", **others: object) -> ModulePoint:
    dataset, config = ratings(), module_config(factory, **others)
    return objective_of(config, dataset).at(drawn(config, dataset).stacked())


def _weights(point: ModulePoint) -> Tensor:
    """Where shared weights stand in θ, flattened."""
    marked = torch.zeros_like(point.theta)
    for tensor in point.objective.layout.parameters(marked).shared.values():
        tensor.fill_(1)
    return marked.flatten().nonzero()[:, 0]


def _solved(curvature: SharedCurvature, point: ModulePoint, x: Tensor) -> Tensor:
    out = torch.full_like(x, torch.nan)
    at = torch.arange(point.objective.entities, len(x))
    curvature.part(point, at).into(x, out)
    return out[at]


def _expected(point: ModulePoint, x: Tensor) -> Tensor:
    weights = _weights(point)
    block = dense_system(point.theta, point.objective)[weights[:, None], weights]
    out = torch.zeros_like(x).flatten()
    out[weights] = torch.linalg.solve(block, x.flatten()[weights])
    return out.view(x.shape)[point.objective.entities :]


def test_of_few_interactions_it_is_the_exact_block() -> None:
    point = _point()
    curvature, x = SharedCurvature(point.objective, STALENESS, EXACTNESS), torch.randn_like(point.theta)
    torch.testing.assert_close(_solved(curvature, point, x), _expected(point, x), rtol=1e-8, atol=1e-10)


def test_deleted_interactions_are_taken_out() -> None:
    point = _point()
    objective, table = point.objective, point.objective.interactions
    curvature, x = SharedCurvature(objective, STALENESS, EXACTNESS), torch.randn_like(point.theta)
    _solved(curvature, point, x)
    gone = table.delete(table.rows_of_item(3)[:4])
    curvature.remove(gone)
    objective.remove(point, gone)
    curvature.finish_deletions()
    torch.testing.assert_close(_solved(curvature, point, x), _expected(point, x), rtol=1e-8, atol=1e-10)


def test_deleted_interactions_leave_the_block_exactly_however_far_parameters_have_moved() -> None:
    point = _point()
    objective, table = point.objective, point.objective.interactions
    curvature, x = SharedCurvature(objective, STALENESS, EXACTNESS), torch.randn_like(point.theta)
    base = point.theta.clone()
    _solved(curvature, point, x)
    point.theta.mul_(1.5)
    gone = table.delete(np.concatenate([table.rows_of_item(3), table.rows_of_user(7)]))
    curvature.remove(gone)
    objective.remove(point, gone)
    curvature.finish_deletions()
    torch.testing.assert_close(_solved(curvature, point, x), _expected(objective.at(base), x), rtol=1e-8, atol=1e-10)


def test_rows_without_data_are_not_kept() -> None:
    point = _point()
    objective, table = point.objective, point.objective.interactions
    curvature = SharedCurvature(objective, STALENESS, EXACTNESS)
    _solved(curvature, point, torch.randn_like(point.theta))
    gone = table.delete(table.rows_of_user(7))
    curvature.remove(gone)
    objective.remove(point, gone)
    curvature.finish_deletions()
    assert curvature.built_at is not None
    assert not curvature.built_at[7].any()


def test_once_stale_it_is_built_anew() -> None:
    point = _point()
    curvature, x = SharedCurvature(point.objective, STALENESS, EXACTNESS), torch.randn_like(point.theta)
    held = _solved(curvature, point, x)
    moved = point.objective.at(1.5 * point.theta)
    assert torch.equal(_solved(curvature, moved, x), held)
    curvature.add_staleness(1.1 * STALENESS)
    torch.testing.assert_close(_solved(curvature, moved, x), _expected(moved, x), rtol=1e-8, atol=1e-10)


def test_past_a_size_the_diagonal_stands_for_it() -> None:
    point = _point("large")
    curvature, x = SharedCurvature(point.objective, STALENESS, EXACTNESS), torch.randn_like(point.theta)
    weights = _weights(point)
    assert len(weights) > DENSE
    diagonal = torch.zeros(len(weights), dtype=x.dtype)
    for factors in point.shared_factors(torch.arange(len(point.objective.user))):
        diagonal += factors.square().sum(0)
    expected = torch.zeros_like(x).flatten()
    expected[weights] = x.flatten()[weights] / (diagonal + point.objective.ridge[-1])
    shown = expected.view(x.shape)[point.objective.entities :]
    torch.testing.assert_close(_solved(curvature, point, x), shown, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("others", [{}, {"shared": "frozen"}])
def test_the_cache_preconditions_all_rows_at_once(others: dict[str, object]) -> None:
    point = _point(**others)
    objective, rows = point.objective, torch.arange(len(point.theta))
    cache, x = CurvatureCache(objective, 1 << 24), torch.randn_like(point.theta)
    found = cache.preconditioner(point, rows).apply(x)
    width, dense = x.shape[1], dense_system(point.theta, objective)
    for row in range(0, objective.entities, 11):
        own = slice(row * width, (row + 1) * width)
        if float(objective.ridge[row]) > 0:
            torch.testing.assert_close(found[row], torch.linalg.solve(dense[own, own], x[row]), rtol=1e-6, atol=1e-9)
    shared = found[objective.entities :]
    if objective.frozen:
        assert not shared.any()
    else:
        torch.testing.assert_close(shared, _expected(point, x), rtol=1e-8, atol=1e-10)


def test_rows_of_entities_alone_need_nothing_of_it() -> None:
    point = _point()
    rows = torch.arange(0, point.objective.entities, 3)
    cache = CurvatureCache(point.objective, 1 << 24)
    whole = cache.preconditioner(point, torch.arange(len(point.theta))).apply(point.gradient)
    some = cache.preconditioner(point, rows).apply(point.gradient[rows])
    np.testing.assert_allclose(some.numpy(), whole[rows].numpy(), rtol=1e-9, atol=1e-12)
