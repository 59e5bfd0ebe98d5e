"""The rank by the proof: what auto finds, and that a smaller rank does not do."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from ifru.interactions import Dataset, Interactions
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded, split
from ifru.models import MFConfig, ModelConfig, model_of
from ifru.models.lightgcn import LightGCNConfig
from ifru.objective.parameters import Parameters
from ifru.proof import trimmed
from ifru.training import PROVEN, TrainedModel, fit, rank, train
from ifru.training.rank import Grown, grown
from tests.fixtures.ratings import recorded

CPU = torch.device("cpu")
KINDS = [("bce", 0.1), ("squared", 0.2)]


def data(ratings: Recorded, loss: str) -> Dataset:
    return split(ratings, LabelRule.parse("rating>=4" if loss == "bce" else "rating"), 0.2, 0)


def from_rank(first: int, interactions: Interactions, dtype: torch.dtype = torch.float64, **model: object) -> Grown:
    config = MFConfig.model_validate({"rank": first, **model})
    return grown(interactions, config, seed=0, device=CPU, dtype=dtype)


def penalties(interactions: Interactions, config: ModelConfig, theta: Tensor) -> Tensor:
    """λ times the singular values of D_u^½ P Qᵀ D_i^½, written out."""
    tables = Parameters.unstacked(theta.double(), interactions.users)
    user = torch.from_numpy(interactions.user_degree).double().sqrt()[:, None] * tables.user[:, : config.rank]
    item = torch.from_numpy(interactions.item_degree).double().sqrt()[:, None] * tables.item[:, : config.rank]
    return config.l2 * torch.linalg.svdvals(user @ item.T)


@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize(("loss", "l2"), KINDS)
def test_auto_ends_at_the_optimum_of_the_largest_rank_with_no_more_dimensions_than_it_uses(
    ratings: Recorded, loss: str, l2: float, bias: bool
) -> None:
    train = data(ratings, loss).train
    found = from_rank(1, train, loss=loss, l2=l2, bias=bias)
    assert found.proof.relative_gap <= PROVEN[torch.float64]
    largest = found.config.model_copy(update={"rank": 25})
    whole = fit(train, largest, seed=0, device=CPU, dtype=torch.float64)
    assert found.trained.objective == pytest.approx(whole.objective, rel=1e-7)
    used = int((penalties(train, largest, whole.theta) > 1e-6 * whole.objective).sum())
    assert 1 < used <= found.config.rank <= used + 2
    assert found.trained.theta.shape == (55, found.config.rank + bias)


@pytest.mark.parametrize(("loss", "l2"), KINDS)
def test_a_rank_below_what_the_optimum_uses_leaves_the_gap_open(ratings: Recorded, loss: str, l2: float) -> None:
    train = data(ratings, loss).train
    found = from_rank(1, train, loss=loss, l2=l2)
    used = int((penalties(train, found.config, found.trained.theta) > 1e-6 * found.trained.objective).sum())
    fixed = fit(train, found.config.model_copy(update={"rank": used - 1}), seed=0, device=CPU, dtype=torch.float64)
    assert fixed.objective > found.trained.objective * (1 + 1e-6)
    assert found.tried[0].rank == 1
    assert found.tried[0].relative_gap > 1e-3


def test_where_few_dimensions_lower_the_objective_training_begins_with_them_and_a_reserve(ratings: Recorded) -> None:
    found = from_rank(16, data(ratings, "bce").train, loss="bce", l2=0.3)
    assert found.proof.relative_gap <= PROVEN[torch.float64]
    assert len(found.tried) == 1
    assert found.config.rank < 8


def test_under_a_penalty_that_nothing_outweighs_a_reserve_is_all_there_is(dataset: Dataset) -> None:
    found = from_rank(16, dataset.train, l2=100.0)
    assert found.config.rank == 2
    assert found.proof.relative_gap <= PROVEN[torch.float64]
    assert float(found.trained.theta.abs().max()) < 1e-6


def test_auto_in_float32_closes_the_gap_of_float32(dataset: Dataset) -> None:
    found = from_rank(2, dataset.train, torch.float32, l2=0.1)
    assert found.trained.theta.dtype == torch.float32
    assert found.proof.relative_gap <= PROVEN[torch.float32]


def test_ranks_only_grow_until_dimensions_out_of_use_are_left_out(dataset: Dataset) -> None:
    few, many = (from_rank(first, dataset.train, l2=0.1) for first in (1, 25))
    ranks = [each.rank for each in few.tried]
    assert ranks[:-1] == sorted(ranks[:-1])
    assert max(ranks) > 2
    assert many.config.rank < 25
    assert many.trained.objective == pytest.approx(few.trained.objective, rel=1e-7)


def test_the_same_seed_gives_the_same_model(dataset: Dataset) -> None:
    first, second = (from_rank(2, dataset.train, l2=0.1) for _ in range(2))
    assert torch.equal(first.trained.theta, second.trained.theta)
    assert first.tried == second.tried


def test_the_rank_is_at_most_that_of_the_data() -> None:
    narrow = split(recorded(items=3, rows=80), LabelRule.parse("rating>=4"), 0.2, 0).train
    found = from_rank(16, narrow, l2=0.02)
    assert found.config.rank <= 3
    assert found.proof.relative_gap <= PROVEN[torch.float64]


def automatic(dataset: Dataset, *l2: float) -> TrainedModel:
    candidates = [MFConfig(rank=2, l2=each) for each in l2]
    return train(dataset, candidates, seed=0, device=CPU, dtype=torch.float64, grow=True)


def test_a_model_of_the_rank_that_was_found_is_ready_and_says_what_was_tried(dataset: Dataset) -> None:
    model = automatic(dataset, 0.1)
    assert model.verdict == "proven optimal"
    assert model.config.rank == model.ranks[-1].rank == model.parameters.user.shape[1]
    assert model.proof.relative_gap == model.ranks[-1].relative_gap


def test_the_penalty_is_chosen_before_the_rank(dataset: Dataset) -> None:
    model = automatic(dataset, 0.3, 0.1)
    assert model.selection is not None
    assert {config.rank for config, _ in model.selection.tried} == {2}
    assert model.config.l2 == model.selection.config.l2
    assert model.config.rank > 2


def test_an_end_before_the_gap_is_closed_is_told(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank, "LARGEST_RANK", 3)
    model = automatic(dataset, 0.1)
    assert not model.ready
    assert "the optimum needs more than 3 dimensions" in model.verdict


@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
def test_dimensions_out_of_use_are_left_out_and_scores_stay(dataset: Dataset, bias: bool) -> None:
    interactions = dataset.train
    interactions.delete(interactions.rows_of_user(3))
    config = MFConfig(rank=9, l2=0.1, bias=bias)
    random = torch.Generator().manual_seed(0)
    theta = torch.randn(55, 9 + bias, generator=random, dtype=torch.float64)
    theta[3] = 0
    theta[:, 5:9] = 1e-9 * theta[:, :4]
    columns = trimmed(model_of(config).duality(interactions), theta, spare=1e-3, reserve=2)
    assert columns is not None
    assert columns.shape == (55, 7 + bias)
    small = config.model_copy(update={"rank": 7})
    scores = [model_of(each).objective(interactions, CPU, torch.float64).scores for each in (config, small)]
    torch.testing.assert_close(scores[1](columns), scores[0](theta))
    assert not columns[3].any()
    before, after = penalties(interactions, config, theta)[:7], penalties(interactions, small, columns)[:7]
    torch.testing.assert_close(after, before)


def test_what_is_left_out_has_no_more_penalty_than_may_be_spared(dataset: Dataset) -> None:
    config = MFConfig(rank=6, l2=0.1)
    objective = model_of(config).objective(dataset.train, CPU, torch.float64)
    theta = torch.randn(55, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theta *= 10.0 ** -torch.arange(6)

    def penalty(theta: Tensor) -> float:
        return float((objective.ridge[:, None] * theta.square()).sum()) / 2

    left_out = []
    for spare in (1e-6, 1e-4, 1e-2, 1.0):
        kept = trimmed(model_of(config).duality(dataset.train), theta, spare, reserve=0)
        assert kept is not None
        assert 0 <= penalty(theta) - penalty(kept) <= spare
        left_out.append(6 - kept.shape[1])
    assert left_out == [2, 3, 4, 5]


def test_nothing_is_left_out_where_all_dimensions_are_in_use(dataset: Dataset) -> None:
    theta = torch.randn(55, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert trimmed(model_of(MFConfig(rank=4, l2=0.1)).duality(dataset.train), theta, spare=1e-3, reserve=2) is None


def test_progress_tells_how_far_the_gap_has_closed(dataset: Dataset) -> None:
    seen: list[str] = []
    train(dataset, [MFConfig(rank=1, l2=0.1)], grow=True, report=lambda what, share: seen.append(what))
    assert seen[0] == "training at rank 1"
    assert any(re.fullmatch(r"training at rank 2 \(gap \de-\d+ at 1\)", what) for what in seen)


@pytest.mark.parametrize("layers", [1, 3])
def test_rows_that_are_passed_along_a_graph_grow_too(dataset: Dataset, layers: int) -> None:
    """From one dimension to the optimum of more than it needs, and no further."""
    config = LightGCNConfig(rank=1, l2=0.02, layers=layers)
    found = grown(dataset.train, config, seed=0, device=CPU, dtype=torch.float64)
    assert found.proof.relative_gap <= PROVEN[torch.float64]
    assert found.tried[0].relative_gap > 1e-3
    largest = config.model_copy(update={"rank": 25})
    whole = fit(dataset.train, largest, seed=1, device=CPU, dtype=torch.float64)
    assert found.trained.objective == pytest.approx(whole.objective, rel=1e-7)
    assert 1 < found.config.rank < 25
    assert found.trained.theta.shape == (55, found.config.rank)
