"""An update held against retraining: what the figures mean."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ifru.engine.settings import EngineSettings
from ifru.errors import IfruError
from ifru.evaluation.target import begins_from
from ifru.evaluation.verify import Verification, verify
from ifru.interactions import Dataset
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded, split
from ifru.models import MFConfig, ModelConfig
from ifru.models.lightgcn import LightGCNConfig
from ifru.objective.parameters import Parameters
from ifru.requests import Request, parse_request
from ifru.training import fit

CONFIG = MFConfig(rank=8, l2=0.2)


@pytest.fixture
def tables(dataset: Dataset) -> Parameters:
    trained = fit(dataset.train, CONFIG, seed=0, device=torch.device("cpu"), dtype=torch.float64)
    return Parameters.unstacked(trained.theta, dataset.train.users)


def request(**fields: object) -> Request:
    return parse_request(json.dumps({"id": "r", "time": "2026-11-21T10:00:00Z", **fields}))


def pairs(dataset: Dataset, count: int) -> Request:
    rows = np.random.default_rng(1).choice(len(dataset.train), count, replace=False)
    named = [
        [dataset.users.name(int(dataset.train.user[z])), dataset.items.name(int(dataset.train.item[z]))] for z in rows
    ]
    return request(type="erase_interactions", interactions=named)


def verified(
    tables: Parameters, dataset: Dataset, *requests: Request, tolerance: float = 0.02, floor: bool = False
) -> Verification:
    return verify(CONFIG, tables, dataset, requests, settings=EngineSettings(tolerance=tolerance), floor=floor)


def test_a_tight_update_is_the_retrained_model_and_a_loose_one_is_further_away(
    tables: Parameters, dataset: Dataset
) -> None:
    loose, tight = (verified(tables, dataset, pairs(dataset, 5), tolerance=each, floor=True) for each in (0.5, 1e-4))
    for name in ("forget", "neighbours", "holdout"):
        assert 0 <= getattr(tight.left, name) < 0.01
        assert getattr(tight.left, name) < getattr(loose.left, name) < 1.5
        assert getattr(tight.floor, name) < 0.01
    assert tight.auc.after == pytest.approx(tight.auc.retrained, abs=1e-3)
    assert tight.settled_influence <= 1e-3
    assert tight.deletions == 5


def test_a_model_retrained_from_a_proven_base_is_the_one_that_is_trained_from_scratch(
    tables: Parameters, dataset: Dataset
) -> None:
    warm, scratch = (verified(tables, dataset, pairs(dataset, 5), floor=floor) for floor in (False, True))
    assert (warm.warm, scratch.warm) == (True, False)
    assert (warm.floor.holdout, scratch.floor.holdout) == (None, pytest.approx(0, abs=0.01))
    assert warm.rms.true == pytest.approx(scratch.rms.true, rel=1e-3)
    for name in ("forget", "neighbours", "holdout"):
        assert getattr(warm.left, name) == pytest.approx(getattr(scratch.left, name), rel=1e-3)


def test_a_base_short_of_dimensions_is_no_place_to_retrain_from(dataset: Dataset) -> None:
    config = MFConfig(rank=2, l2=0.1)
    theta = fit(dataset.train, config, seed=0, device=torch.device("cpu"), dtype=torch.float64).theta
    base = Parameters.unstacked(theta, dataset.train.users)
    assert not begins_from(base, dataset.train, config, seed=0)
    assert not verify(config, base, dataset, [pairs(dataset, 5)]).warm


def test_where_a_base_has_dimensions_to_spare_what_is_retrained_from_it_is_the_optimum(
    tables: Parameters, dataset: Dataset
) -> None:
    """Even where the base itself is not: the retrained model is proven."""
    moved = Parameters.unstacked(1.1 * tables.stacked(), dataset.train.users)
    assert begins_from(moved, dataset.train, CONFIG, seed=0)
    warm, scratch = (verified(moved, dataset, pairs(dataset, 5), floor=floor) for floor in (False, True))
    assert (warm.warm, scratch.warm) == (True, False)
    assert warm.rms.true == pytest.approx(scratch.rms.true, rel=1e-3)


def test_a_retrained_model_that_is_not_proven_optimal_is_trained_from_scratch(dataset: Dataset) -> None:
    """One dimension is enough for the base; what half of the rows leave needs more."""
    config = MFConfig(rank=1, l2=0.3)
    theta = fit(dataset.train, config, seed=0, device=torch.device("cpu"), dtype=torch.float64).theta
    base = Parameters.unstacked(theta, dataset.train.users)
    assert begins_from(base, dataset.train, config, seed=0)
    assert not verify(config, base, dataset, [pairs(dataset, len(dataset.train) // 2)]).warm


@pytest.mark.parametrize("l2", [0.2, 0.1])
def test_the_bound_is_above_the_true_distance(dataset: Dataset, l2: float) -> None:
    """With the smaller λ, what is left needs a dimension that the model does not have."""
    config = MFConfig(rank=8, l2=l2)
    theta = fit(dataset.train, config, seed=0, device=torch.device("cpu"), dtype=torch.float64).theta
    base = Parameters.unstacked(theta, dataset.train.users)
    for tolerance in (0.5, 0.02):
        settings = EngineSettings(tolerance=tolerance)
        found = verify(config, base, dataset, [pairs(dataset, 5)], settings=settings)
        assert 0 < found.rms.true <= found.rms.bound


def test_nothing_is_left_on_the_pairs_of_a_whole_user(tables: Parameters, dataset: Dataset) -> None:
    found = verified(tables, dataset, request(type="erase_user", subject="u3"))
    assert found.left.forget == 0
    assert found.left.holdout is not None
    assert found.left.holdout < 0.2


def test_corrected_labels_are_compared_with_a_model_trained_on_them(tables: Parameters, dataset: Dataset) -> None:
    user, item = dataset.users.name(int(dataset.train.user[7])), dataset.items.name(int(dataset.train.item[7]))
    label = 1 - float(dataset.train.label[7])
    found = verified(tables, dataset, request(type="rectify", interactions=[[user, item]], label=label))
    assert (found.deletions, found.unknown) == (1, 0)
    assert found.left.forget is not None
    assert found.left.forget < 0.2
    assert float(dataset.train.label[7]) == 1 - label


def test_what_is_given_stays_as_it_was(tables: Parameters, dataset: Dataset) -> None:
    kept, names = tables.stacked(), list(dataset.users)
    verified(tables, dataset, request(type="erase_user", subject="u3"))
    assert torch.equal(tables.stacked(), kept)
    assert dataset.train.alive.all()
    assert dataset.holdout.alive.all()
    assert list(dataset.users) == names


def test_unknown_subjects_are_counted_and_change_nothing_else(tables: Parameters, dataset: Dataset) -> None:
    known, unknown = request(type="erase_user", subject="u3"), request(type="erase_user", subject="nobody")
    alone, together = verified(tables, dataset, known), verified(tables, dataset, known, unknown)
    assert (together.requests, together.unknown, alone.unknown) == (2, 1, 0)
    assert together.left == alone.left


def test_refinement_leaves_less(tables: Parameters, dataset: Dataset) -> None:
    settings = EngineSettings(tolerance=0.5, refined=1e-4)
    rough, fine = (
        verify(CONFIG, tables, dataset, [pairs(dataset, 5)], settings=settings, refine=refine)
        for refine in (False, True)
    )
    assert fine.settled_influence <= 1e-4
    assert fine.left.holdout is not None
    assert rough.left.holdout is not None
    assert fine.left.holdout < rough.left.holdout
    assert (rough.seconds.refine, fine.residual_influence) == (0, rough.residual_influence)
    assert fine.seconds.refine > 0


def test_seconds_are_what_the_clock_says(tables: Parameters, dataset: Dataset) -> None:
    ticks = iter(range(100))
    found = verify(CONFIG, tables, dataset, [pairs(dataset, 5)], clock=lambda: float(next(ticks)))
    assert (found.seconds.update, found.seconds.settle, found.seconds.retrain) == (1, 1, 1)


def test_requests_that_name_nothing_or_everything_are_refused(tables: Parameters, dataset: Dataset) -> None:
    with pytest.raises(IfruError, match="none of the 1 requests names a row"):
        verified(tables, dataset, request(type="erase_user", subject="nobody"))
    everyone = [request(type="erase_user", subject=f"u{user}") for user in range(30)]
    with pytest.raises(IfruError, match="nothing is left to retrain on"):
        verified(tables, dataset, *everyone)


def test_biased_and_squared_models_are_compared_too(dataset: Dataset) -> None:
    for config in (MFConfig(rank=8, l2=0.2, bias=True), MFConfig(rank=8, l2=0.2, loss="squared")):
        theta = fit(dataset.train, config, seed=0, device=torch.device("cpu"), dtype=torch.float32).theta
        base = Parameters.unstacked(theta, dataset.train.users)
        found = verify(config, base, dataset, [request(type="erase_user", subject="u3")])
        assert found.left.forget == 0
        assert found.rms.true <= found.rms.bound


@pytest.mark.parametrize("model", [MFConfig, LightGCNConfig])
def test_the_bound_on_preferences_is_above_the_true_distance(ratings: Recorded, model: type[ModelConfig]) -> None:
    dataset, config = split(ratings, LabelRule.parse("positive:2"), 0.2, seed=0), model(rank=16, l2=0.05, loss="bpr")
    theta = fit(dataset.train, config, seed=0, device=torch.device("cpu"), dtype=torch.float64).theta
    base = Parameters.unstacked(theta, dataset.train.users)
    for tolerance in (0.5, 0.02):
        asked = [pairs(dataset, 5), request(type="erase_item", subject="i3")]
        found = verify(config, base, dataset, asked, settings=EngineSettings(tolerance=tolerance))
        assert 0 < found.rms.true <= found.rms.bound
    assert found.left.forget < 0.05
    assert found.left.holdout < 0.1
