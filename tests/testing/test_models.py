"""The models of this package hold to what every model must."""

from __future__ import annotations

import torch
from torch import Tensor

from ifru.interactions import Dataset, Interactions
from ifru.models import MFConfig
from ifru.models.deepfm import DeepFMConfig
from ifru.models.ials import IALSConfig
from ifru.models.lightgcn import LightGCNConfig
from ifru.models.neumf import NeuMFConfig
from ifru.models.practice import Practice
from ifru.models.two_tower import TwoTowerConfig
from ifru.testing import Conformance
from tests.models.bent import BentConfig
from tests.models.modules import module_config, ratings


class TestMF(Conformance):
    config = MFConfig(rank=8, l2=0.2)


class TestMFWithBiases(Conformance):
    config = MFConfig(rank=8, l2=0.2, bias=True)


class TestMFOfSquares(Conformance):
    config = MFConfig(rank=8, l2=0.2, loss="squared")


class TestMFOfPreferences(Conformance):
    config = MFConfig(rank=12, l2=0.05, loss="bpr")


class TestIALS(Conformance):
    config = IALSConfig(rank=12, l2=6.0, alpha=2.0)

    def value(self, theta: Tensor, table: Interactions) -> Tensor:
        parameters = self.model.layout(table.users, table.items).parameters(theta)
        score, label = self.scores(theta, table), torch.from_numpy(table.label).double()
        weight = self.config.alpha * torch.from_numpy(table.weight).double()
        seen = weight * (label - score).square() - score.square()
        everywhere = (parameters.user @ parameters.item.T).square().sum()
        has_data = torch.from_numpy(table.degree > 0).double()
        penalty = self.config.l2 / 2 * (has_data @ theta.square().sum(1))
        return (everywhere + (torch.from_numpy(table.alive) * seen).sum()) / 2 + penalty


PRACTICE = Practice(batch=64, step=0.02, epochs=8)


class TestAModule(Conformance):
    config = module_config(practice=PRACTICE)


class TestAModuleOfFrozenWeights(Conformance):
    config = module_config(practice=PRACTICE, shared="frozen")


class TestAModuleWithFeatures(Conformance):
    config = module_config("with_features", practice=PRACTICE)

    @classmethod
    def dataset(cls) -> Dataset:
        return ratings(features=True)


class TestNeuMF(Conformance):
    config = NeuMFConfig(rank=8, l2=0.1, practice=PRACTICE)


class TestTwoTower(Conformance):
    config = TwoTowerConfig(rank=6, l2=0.1, practice=PRACTICE)


class TestDeepFM(Conformance):
    config = DeepFMConfig(rank=6, l2=0.1, practice=PRACTICE)


class TestLightGCNOfOneLayer(Conformance):
    config = LightGCNConfig(rank=8, l2=0.1, layers=1)


class TestLightGCNOfTwoLayers(Conformance):
    config = LightGCNConfig(rank=8, l2=0.1, layers=2)


class TestLightGCNOfThreeLayers(Conformance):
    config = LightGCNConfig(rank=8, l2=0.1, layers=3, loss="squared", graph="all")


class TestLightGCNOfPreferences(Conformance):
    config = LightGCNConfig(rank=12, l2=0.02, loss="bpr")


class TestAModelFromOutside(Conformance):
    config = BentConfig(rank=3, l2=0.2, sharpness=0.1)
