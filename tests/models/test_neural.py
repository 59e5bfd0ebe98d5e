"""NeuMF, two towers and DeepFM against their formulas, term by term."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from ifru.interactions.features import FeatureColumn
from ifru.models import config_type, known
from ifru.models.deepfm import DeepFM, DeepFMConfig
from ifru.models.neumf import NeuMF, NeuMFConfig
from ifru.models.two_tower import TwoTower, TwoTowerConfig

USER_FEATURES = (FeatureColumn(name="age", mean=30, scale=10), FeatureColumn(name="kind", values=("a", "b", "c")))
ITEM_FEATURES = (FeatureColumn(name="year", mean=1990, scale=5),)
PAIRS = 7


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def layered(layers: nn.Sequential, x: Tensor) -> Tensor:
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    for layer in linear[:-1]:
        x = (layer.weight @ x + layer.bias).clamp(min=0)
    return linear[-1].weight @ x + linear[-1].bias


def test_neumf_adds_a_weighted_product_and_a_perceptron() -> None:
    config = NeuMFConfig(rank=5, l2=0.1, hidden=(6, 4))
    assert config.row_columns == {"gmf": 2, "mlp": 3}
    module = config.build().double()
    assert isinstance(module, NeuMF)
    user, item = drawn(PAIRS, 5), drawn(PAIRS + 1, 5)[:PAIRS]
    found = module(user, item)
    for n in range(PAIRS):
        deep = layered(module.mlp, torch.cat([user[n, 2:], item[n, 2:]])).clamp(min=0)
        whole = torch.cat([user[n, :2] * item[n, :2], deep])
        torch.testing.assert_close(found[n], module.out.weight[0] @ whole + module.out.bias[0])


@pytest.mark.parametrize("features", [False, True])
def test_towers_are_multiplied_and_each_reads_the_features_of_its_side(features: bool) -> None:
    sides = {"user_features": USER_FEATURES, "item_features": ITEM_FEATURES} if features else {}
    module = TwoTowerConfig(rank=4, l2=0.1, hidden=(6, 3), **sides).build().double()
    assert isinstance(module, TwoTower)
    user, item = drawn(PAIRS, 4), drawn(PAIRS + 1, 4)[:PAIRS]
    known = (drawn(PAIRS, 4), drawn(PAIRS, 1)) if features else (None, None)
    found = module(user, item, *known)
    for n in range(PAIRS):
        of_user, of_item = (
            rows[n] if more is None else torch.cat([rows[n], more[n]])
            for rows, more in zip((user, item), known, strict=True)
        )
        expected = layered(module.user_tower, of_user) @ layered(module.item_tower, of_item)
        torch.testing.assert_close(found[n], expected)


@pytest.mark.parametrize("features", [False, True])
def test_deepfm_has_a_first_order_all_pairs_of_fields_and_a_perceptron(features: bool) -> None:
    sides = {"user_features": USER_FEATURES, "item_features": ITEM_FEATURES} if features else {}
    module = DeepFMConfig(rank=4, l2=0.1, hidden=(6,), **sides).build().double()
    assert isinstance(module, DeepFM)
    for parameter in module.parameters():
        nn.init.normal_(parameter, 0, 0.5)
    user, item = drawn(PAIRS, 4), drawn(PAIRS + 1, 4)[:PAIRS]
    known = (drawn(PAIRS, 4), drawn(PAIRS, 1)) if features else (None, None)
    found = module(user, item, *known)
    for n in range(PAIRS):
        first = module.bias[0] + user[n, -1] + item[n, -1]
        fields = [user[n, :-1], item[n, :-1]]
        for side, more in ((module.user_fields, known[0]), (module.item_fields, known[1])):
            if side is not None and more is not None:
                first = first + side.weight @ more[n]
                start = 0
                for width in side.widths:
                    fields.append(side.embedding[start : start + width].T @ more[n, start : start + width])
                    start += width
        assert len(fields) == (5 if features else 2)
        pairs = sum(fields[f] @ fields[g] for f in range(len(fields)) for g in range(f))
        torch.testing.assert_close(found[n], first + pairs + layered(module.mlp, torch.cat(fields))[0])


@pytest.mark.parametrize("name", ["neumf", "two-tower", "deepfm"])
def test_they_are_known_by_name_and_their_configurations_come_back_from_json(name: str) -> None:
    assert name in known()
    config = config_type(name).model_validate({"l2": 0.1, "user_features": USER_FEATURES})
    assert config_type(name).model_validate_json(config.model_dump_json()) == config
    assert hash(config) == hash(config.model_copy())
    for wrong in ({"hidden": (0,)}, {"loss": "bpr"}):
        with pytest.raises(ValidationError):
            config_type(name).model_validate({"l2": 0.1, **wrong})
