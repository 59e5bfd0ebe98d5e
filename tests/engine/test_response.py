"""Engines on models that stand where their gradient is not zero: responses, of modules and of models from elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.engine.supported import UnsupportedSupport
from ifru.interactions import Dataset, Deletion
from ifru.models import MFConfig, ModelConfig, model_of
from ifru.models.ials import IALSConfig
from ifru.models.lightgcn import LightGCNConfig
from ifru.models.module import ModuleConfig
from ifru.models.quality import scores
from ifru.objective.losses import loss_of
from ifru.objective.module import ModuleObjective
from ifru.objective.parameters import Parameters
from ifru.training.newton import initial
from tests.models.modules import CPU, dense_system, drawn, module_config, objective_of, practised, ratings

NOTHING = np.empty(0, dtype=np.int64)
TIGHT = EngineSettings(tolerance=1e-6)


def _some(dataset: Dataset, count: int, seed: int = 0) -> Deletion:
    random = np.random.default_rng(seed)
    return Deletion(np.sort(random.choice(np.flatnonzero(dataset.train.alive), count, replace=False)), NOTHING)


def _engine(dataset: Dataset, settings: EngineSettings = TIGHT, config: ModuleConfig | None = None) -> Engine:
    config = config or module_config()
    return Engine(config, practised(config, dataset), dataset, settings)


def _theta(engine: Engine) -> torch.Tensor:
    return engine.parameters.stacked()


def test_an_update_solves_the_dense_system_of_the_deletion() -> None:
    dataset = ratings(features=True)
    config = module_config("with_features")
    engine, deletion = _engine(dataset, config=config), _some(dataset, 20)
    before, plain = _theta(engine), objective_of(config, ratings(features=True))
    gone = plain.interactions.delete(deletion.train)
    change = plain.remove(plain.owing(before, torch.zeros_like(before)), gone)
    engine.apply(deletion)
    moved = change.point.objective.ridge > 0
    debt, kept = change.point.gradient.flatten(), moved[:, None].expand_as(before).flatten()
    system = dense_system(before, plain)[kept][:, kept]
    expected = before.flatten()
    expected[kept] -= torch.linalg.solve(system, debt[kept])
    expected = expected.view(before.shape).masked_fill(~moved[:, None], 0)
    torch.testing.assert_close(_theta(engine), expected, rtol=1e-5, atol=1e-6)


def test_what_a_solve_leaves_is_the_debt_of_the_next_batch() -> None:
    dataset = ratings()
    engine = _engine(dataset, EngineSettings(tolerance=0.1))
    update = engine.apply(_some(dataset, 20))
    debt = engine.debt
    assert debt is not None
    assert 0 < update.influence <= 0.1
    assert float(debt.stacked().norm()) > 0
    settled = engine.settle()
    assert settled.influence == pytest.approx(update.influence)


def test_an_engine_goes_on_with_the_debt_of_another() -> None:
    dataset = ratings()
    one = _engine(dataset, EngineSettings(tolerance=0.1))
    one.apply(_some(dataset, 20))
    assert one.debt is not None
    there, owed = one.parameters.to("cpu", copy=True), one.debt.to("cpu", copy=True)
    two = Engine(module_config(), there, dataset.copy(), TIGHT, carried=one.carried, debt=owed)
    assert two.debt is not None
    assert torch.equal(one.debt.stacked(), two.debt.stacked())
    one.settings = TIGHT
    batch = _some(dataset, 15, seed=5)
    for each in (one, two):
        assert each.apply(batch).influence <= 1e-6
    torch.testing.assert_close(_theta(one), _theta(two), rtol=1e-4, atol=1e-5)


def test_the_default_tolerance_takes_eight_products_at_most_twenty_batches_in_a_row() -> None:
    dataset = ratings(400, 150, 12_000)
    engine = _engine(dataset, EngineSettings(), module_config(damping=4.0))
    start = _theta(engine)
    for number in range(20):
        update = engine.apply(_some(dataset, 30, seed=number))
        assert update.influence <= 0.01
        assert update.iterations <= 8
    moved = float((_theta(engine) - start).norm() / start.norm())
    assert 0 < moved < 0.5


@pytest.mark.parametrize(("rows", "method"), [(4_000, "global"), (24_000, "push")])
def test_the_default_waits_for_products_only_where_these_read_little(rows: int, method: str) -> None:
    dataset = ratings(600, 300, rows)
    engine = _engine(dataset, EngineSettings(), module_config(damping=4.0))
    update = engine.apply(_some(dataset, 30))
    assert update.method == method
    assert (update.iterations == 0) == (method == "push")


def test_of_its_first_push_an_engine_promises_nothing() -> None:
    dataset = ratings(400, 150, 12_000)
    engine = _engine(dataset, EngineSettings(support="push"), module_config(damping=4.0))
    assert engine.apply(_some(dataset, 30)).influence == pytest.approx(1)
    assert engine.settle().influence < 0.6


def test_a_stream_of_pushes_takes_no_more_memory_from_batch_to_batch() -> None:
    dataset = ratings(400, 150, 12_000)
    engine = _engine(dataset, EngineSettings(support="push"), module_config(damping=4.0))
    for number in range(5):
        engine.apply(_some(dataset, 30, seed=number))
        assert engine.state.origins == []


def test_a_push_answers_without_a_product_and_says_what_it_leaves() -> None:
    dataset = ratings(400, 150, 12_000)
    engine = _engine(dataset, EngineSettings(support="push"), module_config(damping=4.0))
    shared = {name: tensor.clone() for name, tensor in engine.parameters.shared.items()}
    predicted, left = [], []
    engine.apply(_some(dataset, 30, seed=99))
    for number in range(6):
        update = engine.apply(_some(dataset, 30, seed=number))
        assert (update.method, update.iterations, update.parameters.shared) == ("push", 0, {})
        predicted.append(update.influence)
        left.append(engine.settle().influence)
    assert max(left) < 0.6
    np.testing.assert_allclose(predicted, left, rtol=0.25)
    assert all(torch.equal(tensor, engine.parameters.shared[name]) for name, tensor in shared.items())
    refined = engine.refine()
    assert refined is not None
    assert refined.influence <= engine.settings.refined


def test_pushes_and_a_refinement_end_where_solves_do() -> None:
    ends, config = [], module_config(damping=4.0)
    for support in ("push", "global"):
        dataset = ratings(400, 150, 12_000)
        engine = _engine(dataset, EngineSettings.model_validate({"support": support}), config)
        start = scores(config, engine.parameters, dataset.train.user, dataset.train.item)
        for part in np.split(_some(dataset, 60).train, 3):
            engine.apply(Deletion(part, NOTHING))
        engine.refine()
        ends.append(scores(config, engine.parameters, dataset.train.user, dataset.train.item) - start)
    assert np.linalg.norm(ends[0] - ends[1]) < 0.05 * np.linalg.norm(ends[1])


def test_batches_in_another_order_end_within_the_tolerance() -> None:
    """Three batches in two orders, and all at once: of the change of all scores a twentieth at most differs."""
    ends, config = [], module_config(damping=4.0)
    parts = np.split(_some(ratings(400, 150, 12_000), 60).train, 3)
    for order in ((0, 1, 2), (2, 1, 0), None):
        dataset = ratings(400, 150, 12_000)
        engine = _engine(dataset, EngineSettings(), config)
        before = scores(config, engine.parameters, dataset.train.user, dataset.train.item)
        for batch in [parts[number] for number in order] if order else [np.concatenate(parts)]:
            engine.apply(Deletion(batch, NOTHING))
        ends.append(scores(config, engine.parameters, dataset.train.user, dataset.train.item) - before)
    for other in ends[1:]:
        assert np.linalg.norm(other - ends[0]) < 0.05 * np.linalg.norm(ends[0])


def test_deleting_nothing_changes_nothing() -> None:
    engine = _engine(ratings())
    before = _theta(engine)
    update = engine.apply(Deletion.nothing())
    assert len(update.parameters) == 0
    assert torch.equal(_theta(engine), before)


def test_an_emptied_row_is_zero_and_owes_nothing() -> None:
    dataset = ratings()
    engine = _engine(dataset)
    engine.apply(dataset.of_user(7))
    assert engine.debt is not None
    assert not engine.parameters.user[7].any()
    assert not engine.debt.user[7].any()


def test_frozen_weights_stay_as_they_are() -> None:
    dataset, config = ratings(), module_config(shared="frozen")
    engine = Engine(config, drawn(config, dataset), dataset, TIGHT)
    update = engine.apply(_some(dataset, 20))
    assert not update.parameters.shared
    for name, tensor in drawn(config, dataset).shared.items():
        assert torch.equal(engine.parameters.shared[name], tensor)


@pytest.mark.parametrize("support", ["residual", "k_hop"])
def test_a_module_allows_no_support_of_couplings(support: str) -> None:
    with pytest.raises(UnsupportedSupport, match="auto, push and global"):
        _engine(ratings(), EngineSettings.model_validate({"support": support}))


ELSEWHERE = [
    MFConfig(rank=3, l2=0.3),
    MFConfig(rank=3, l2=0.3, bias=True, loss="squared"),
    LightGCNConfig(rank=3, l2=0.3),
    IALSConfig(rank=3, l2=2.0, alpha=3.0),
]
"""Models that other programs leave where they are not stationary."""


def _drawn(config: ModelConfig, dataset: Dataset) -> Parameters:
    objective = model_of(config).objective(dataset.train, CPU, torch.float64)
    return objective.layout.parameters(5 * initial(objective, 0))


def _responding(config: ModelConfig, dataset: Dataset, settings: EngineSettings) -> Engine:
    parameters = _drawn(config, dataset)
    nothing = Parameters.of(*map(torch.zeros_like, parameters.tables.values()))
    return Engine(config, parameters, dataset, settings, debt=nothing)


@pytest.mark.parametrize("config", ELSEWHERE, ids=str)
def test_a_base_from_elsewhere_owes_only_what_is_deleted_and_pays_it_off(config: ModelConfig) -> None:
    dataset = ratings()
    engine = _responding(config, dataset, EngineSettings())
    assert engine.state.total_decrement == 0
    before = _theta(engine)
    assert len(engine.apply(Deletion.nothing()).parameters) == 0
    update = engine.apply(dataset.of_user(7))
    assert update.influence <= 0.01
    assert not torch.equal(_theta(engine), before)
    assert engine.debt is not None
    assert not engine.debt.user[7].any()
    assert engine.debt.item.any()


@pytest.mark.parametrize("config", ELSEWHERE, ids=str)
def test_the_response_is_the_solution_of_the_gauss_newton_system(config: ModelConfig) -> None:
    """Dense: scores of all pairs by autograd, so that it shares nothing with the loops."""
    dataset = ratings(16, 12, 45)
    engine, theta = _responding(config, dataset, TIGHT), _drawn(config, dataset).stacked()
    deleted = dataset.train.rows_of_user(3)[:1]
    engine.apply(Deletion(deleted, NOTHING))
    model, train = model_of(config), dataset.train
    objective = model.objective(train, CPU, torch.float64)
    passed_on = objective.serving(torch.eye(len(theta)).double())

    def scores(flat: torch.Tensor) -> torch.Tensor:
        rows = passed_on @ flat.view_as(theta)
        return model.all_scores(rows[:16], rows[16:]).reshape(-1)

    jacobian = torch.autograd.functional.jacobian(scores, theta.reshape(-1))
    curvature, pair = torch.zeros(16 * 12).double(), train.user.astype(np.int64) * 12 + train.item
    weight = 1.0
    if isinstance(config, IALSConfig):
        curvature += config.unobserved
        weight = config.alpha - config.unobserved
    score = scores(theta.reshape(-1))[pair]
    second = weight * loss_of(config.loss).curvature(score, torch.from_numpy(train.label).double())
    curvature.index_add_(0, torch.from_numpy(pair[train.alive]), second[train.alive])
    system = jacobian.T @ (curvature[:, None] * jacobian)
    system += torch.diag(objective.ridge.repeat_interleave(theta.shape[1]))
    before = model.objective(ratings(16, 12, 45).train, CPU, torch.float64).at(theta.clone()).gradient
    added = objective.at(theta.clone()).gradient - before
    live = (objective.ridge > 0).repeat_interleave(theta.shape[1])
    expected = torch.zeros(theta.numel()).double()
    expected[live] = torch.linalg.solve(system[live][:, live], -added.reshape(-1)[live])
    torch.testing.assert_close((_theta(engine) - theta).reshape(-1)[live], expected[live], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("config", ELSEWHERE, ids=str)
def test_batches_on_a_base_from_elsewhere_may_come_in_another_order(config: ModelConfig) -> None:
    """Three batches in two orders: of the change of all scores a tenth at most differs."""
    model, ends, chosen = model_of(config), [], _some(ratings(), 6).train
    for order in (1, -1):
        dataset = ratings()
        engine = _responding(config, dataset, TIGHT)
        start = model.serving(_drawn(config, dataset), dataset.train)
        for batch in np.split(chosen, 3)[::order]:
            engine.apply(Deletion(batch, NOTHING))
        serving = model.serving(engine.parameters, dataset.train)
        ends.append(model.all_scores(serving.user, serving.item))
    moved = float((ends[0] - model.all_scores(start.user, start.item)).norm())
    assert float((ends[0] - ends[1]).norm()) <= 0.1 * moved


def test_a_module_objective_is_what_the_model_gives() -> None:
    assert isinstance(objective_of(module_config(), ratings()), ModuleObjective)
