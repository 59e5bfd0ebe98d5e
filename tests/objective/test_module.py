"""The objective of a user's own module, held against autograd in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ifru.objective.module import ModulePoint
from tests.models.modules import dense_system, drawn, module_config, objective_of, plain_objective, ratings

CASES = [
    pytest.param("make", {}, id="plain"),
    pytest.param("with_features", {}, id="features"),
    pytest.param("make", {"shared": "frozen"}, id="frozen"),
    pytest.param("make", {"loss": "squared", "damping": 2.0}, id="squared"),
]


def _point(factory: str, others: dict[str, object]) -> ModulePoint:
    dataset = ratings(features=factory == "with_features")
    config = module_config(factory, **others)
    dataset.delete(dataset.of_user(3))
    return objective_of(config, dataset).at(drawn(config, dataset).stacked())


def _direction(point: ModulePoint) -> Tensor:
    """Of θ's shape, with nothing in the padding."""
    layout, generator = point.objective.layout, torch.Generator().manual_seed(2)
    x = torch.zeros_like(point.theta)
    parts = layout.parameters(x)
    for tensor in (*parts.tables.values(), *parts.shared.values()):
        tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=x.dtype))
    return x


@pytest.mark.parametrize(("factory", "others"), CASES)
def test_value_and_gradient_are_autograds(factory: str, others: dict[str, object]) -> None:
    point = _point(factory, others)
    objective = point.objective
    expected = torch.func.grad(plain_objective)(point.theta, objective)
    if objective.frozen:
        expected[objective.entities :] = 0
    assert point.value == pytest.approx(float(plain_objective(point.theta, objective)), rel=1e-12)
    torch.testing.assert_close(point.gradient, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("factory", "others"), CASES)
def test_a_product_is_that_of_the_dense_system(factory: str, others: dict[str, object]) -> None:
    point = _point(factory, others)
    x = _direction(point)
    expected = dense_system(point.theta, point.objective) @ x.flatten()
    torch.testing.assert_close(point.product(x).flatten(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("factory", "others"), CASES)
def test_blocks_and_factors_are_of_the_dense_system(factory: str, others: dict[str, object]) -> None:
    point = _point(factory, others)
    objective, width = point.objective, point.theta.shape[1]
    dense, rows = dense_system(point.theta, objective), torch.arange(0, objective.entities, 7)
    for row, block in zip(rows.tolist(), point.blocks(rows), strict=True):
        own = slice(row * width, (row + 1) * width)
        torch.testing.assert_close(block, dense[own, own], rtol=1e-9, atol=1e-9)
    table = objective.interactions
    of_item = table.rows_of_item(5)
    factors = point.factors(np.empty(0, dtype=np.int64), of_item)
    own = slice((table.users + 5) * width, (table.users + 6) * width)
    ridge = float(objective.ridge[table.users + 5])
    block = factors.mT @ factors + ridge * torch.eye(width, dtype=factors.dtype)
    torch.testing.assert_close(block, dense[own, own], rtol=1e-9, atol=1e-9)


def test_factors_of_shared_weights_are_of_the_dense_system() -> None:
    point = _point("with_features", {})
    objective = point.objective
    retained = torch.from_numpy(np.flatnonzero(objective.interactions.alive))
    factors = torch.cat(list(point.shared_factors(retained)))
    marked = torch.zeros_like(point.theta)
    for tensor in objective.layout.parameters(marked).shared.values():
        tensor.fill_(1)
    weights = marked.flatten().nonzero()[:, 0]
    dense = dense_system(point.theta, objective)[weights[:, None], weights]
    ridge = float(objective.ridge[-1]) * torch.eye(len(weights), dtype=dense.dtype)
    torch.testing.assert_close(factors.mT @ factors + ridge, dense, rtol=1e-9, atol=1e-9)


def test_features_of_an_erased_user_count_in_what_is_deleted_and_are_gone_afterwards() -> None:
    dataset, config = ratings(features=True), module_config("with_features")
    objective = objective_of(config, dataset, torch.float32)
    theta = drawn(config, dataset, torch.float32).stacked()
    unknown = ratings(features=True)
    unknown.train.features["user"][7] = 0
    without = objective_of(config, unknown, torch.float32)
    gone = dataset.delete(dataset.of_user(7)).train
    removed = [each.remove(each.owing(theta, torch.zeros_like(theta)), gone).direct for each in (objective, without)]
    assert not torch.allclose(removed[0], removed[1], rtol=1e-2)
    assert not objective.features["user"][7].any()


@pytest.mark.parametrize("others", [{}, {"shared": "frozen"}])
def test_what_a_deletion_tells_is_what_it_adds_to_the_debt(others: dict[str, object]) -> None:
    """By how much that has to be: `ifru.testing`."""
    point = _point("make", others)
    objective, table = point.objective, point.objective.interactions
    gradient = point.gradient.clone()
    gone = table.delete(np.concatenate([table.rows_of_user(7), table.rows_of_item(2)[:1]]))
    change = objective.remove(point, gone)
    assert float(change.point.gradient[7].abs().max()) == 0
    rows = change.rows[objective.decay[change.rows] > 0]
    told = gradient.index_add(0, change.rows, change.direct)
    torch.testing.assert_close(change.point.gradient[rows], told[rows], rtol=1e-9, atol=1e-9)
    assert bool((change.rows >= objective.entities).any()) != objective.frozen


def test_of_scores_that_say_nothing_the_gradient_is_that_of_the_penalty() -> None:
    dataset, config = ratings(), module_config("Constant")
    objective = objective_of(config, dataset)
    point = objective.at(drawn(config, dataset).stacked())
    torch.testing.assert_close(point.gradient, objective.decay[:, None] * point.theta)


def test_a_step_follows_the_quadratic_model_from_the_base() -> None:
    """Wherever a solve has come to, the system is the one that it began with."""
    point = _point("make", {})
    x, y = _direction(point), 0.3 * _direction(point).flip(0).masked_fill(_direction(point) == 0, 0)
    middle, _ = point.advance(x)
    there, change = middle.advance(y)
    system, g = dense_system(point.theta, point.objective), point.gradient.flatten()
    step, before = (x + y).flatten(), x.flatten()
    torch.testing.assert_close(there.gradient.flatten(), g + system @ step, rtol=1e-9, atol=1e-8)
    gains = [float(g @ each + each @ system @ each / 2) for each in (step, before)]
    assert change == pytest.approx(gains[0] - gains[1], rel=1e-9)
    torch.testing.assert_close(there.theta, point.theta + x + y)


def test_a_frozen_weight_has_no_part_in_the_system() -> None:
    point = _point("make", {"shared": "frozen"})
    first = point.objective.entities
    x = _direction(point)
    assert not point.gradient[first:].any()
    assert not point.product(x)[first:].any()
    nothing = torch.zeros_like(x)
    nothing[first:] = x[first:]
    assert not point.product(nothing).any()
