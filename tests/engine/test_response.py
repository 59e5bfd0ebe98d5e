"""Engines on models that stand where their gradient is not zero: responses of modules, and constant offsets."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.engine.supported import UnsupportedSupport
from ifru.interactions import Dataset, Deletion
from ifru.models import MFConfig, model_of
from ifru.models.module import ModuleConfig
from ifru.models.quality import scores
from ifru.objective.module import ModuleObjective
from ifru.objective.parameters import Parameters
from ifru.objective.tilted import TiltedObjective
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


def test_an_offset_says_the_same_as_the_debt() -> None:
    """o = ∇L(θ; retained) − debt."""
    dataset, config = ratings(), module_config()
    objective, parameters = objective_of(config, dataset), drawn(config, dataset)
    gradient, debt = objective.at(parameters.stacked()).gradient, torch.rand(len(objective.ridge), config.rank).double()
    offset = objective.layout.parameters(gradient - debt)
    engine = Engine(config, parameters, dataset, TIGHT, offset=offset)
    assert engine.debt is not None
    torch.testing.assert_close(engine.debt.user, objective.layout.parameters(debt).user, rtol=1e-9, atol=1e-9)


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


def test_a_push_answers_without_a_product_and_says_what_it_leaves() -> None:
    dataset = ratings(400, 150, 12_000)
    engine = _engine(dataset, EngineSettings(support="push"), module_config(damping=4.0))
    shared = {name: tensor.clone() for name, tensor in engine.parameters.shared.items()}
    predicted, left = [], []
    for number in range(8):
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
    with pytest.raises(UnsupportedSupport, match="auto, push, global"):
        _engine(ratings(), EngineSettings.model_validate({"support": support}))


def _factors(dataset: Dataset) -> tuple[MFConfig, Parameters, torch.Tensor]:
    """Matrix factorisation where it is not stationary, and its gradient there."""
    config = MFConfig(rank=3, l2=0.3)
    objective = model_of(config).objective(dataset.train, CPU, torch.float64)
    theta = initial(objective, 0)
    return config, objective.layout.parameters(theta), objective.at(theta).gradient


def test_a_tilted_base_owes_only_what_is_deleted() -> None:
    dataset = ratings()
    config, parameters, gradient = _factors(dataset)
    offset = Parameters.unstacked(gradient, dataset.train.users)
    engine = Engine(config, parameters, dataset, EngineSettings(), offset=offset)
    assert engine.state.total_decrement == 0
    before = _theta(engine)
    assert len(engine.apply(Deletion.nothing()).parameters) == 0
    update = engine.apply(dataset.of_user(7))
    assert update.influence <= 0.01
    assert not torch.equal(_theta(engine), before)
    assert engine.offset is not None
    assert not engine.offset.user[7].any()
    objective = engine.state.objective
    assert isinstance(objective, TiltedObjective)
    plain = objective.objective.at(_theta(engine)).gradient
    torch.testing.assert_close(engine.state.point.gradient, plain - objective.offset, rtol=1e-9, atol=1e-9)


def test_tilted_batches_in_another_order_end_within_the_tolerance() -> None:
    ends = []
    chosen = _some(ratings(), 30).train
    for order in (1, -1):
        dataset = ratings()
        config, parameters, gradient = _factors(dataset)
        offset = Parameters.unstacked(gradient, dataset.train.users)
        engine = Engine(config, parameters, dataset, TIGHT, offset=offset)
        for batch in np.split(chosen, 3)[::order]:
            engine.apply(Deletion(batch, NOTHING))
        ends.append(engine.parameters)
    found = [each.user @ each.item.T for each in ends]
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


def test_a_module_objective_is_what_the_model_gives() -> None:
    assert isinstance(objective_of(module_config(), ratings()), ModuleObjective)
