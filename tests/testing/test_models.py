"""The models of this package hold to what every model must."""

from __future__ import annotations

import torch
from torch import Tensor

from ifru.interactions import Interactions
from ifru.models import MFConfig
from ifru.models.ials import IALSConfig
from ifru.models.lightgcn import LightGCNConfig
from ifru.objective.parameters import Parameters
from ifru.testing import Conformance
from tests.models.bent import BentConfig
from tests.models.modules import drawn, module_config, ratings


class TestMF(Conformance):
    config = MFConfig(rank=8, l2=0.2)


class TestMFWithBiases(Conformance):
    config = MFConfig(rank=8, l2=0.2, bias=True)


class TestMFOfSquares(Conformance):
    config = MFConfig(rank=8, l2=0.2, loss="squared")


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


class TestAModule(Conformance):
    config = module_config()
    # Each batch is answered by a linear system at its own base.
    within = 0.1

    @classmethod
    def trained(cls, train: Interactions, seed: int) -> Parameters:
        return drawn(cls.config, ratings())


class TestAModuleOfFrozenWeights(TestAModule):
    config = module_config(shared="frozen")


class TestLightGCNOfOneLayer(Conformance):
    config = LightGCNConfig(rank=8, l2=0.1, layers=1)


class TestLightGCNOfTwoLayers(Conformance):
    config = LightGCNConfig(rank=8, l2=0.1, layers=2)


class TestLightGCNOfThreeLayers(Conformance):
    config = LightGCNConfig(rank=8, l2=0.1, layers=3, loss="squared", graph="all")


class TestAModelFromOutside(Conformance):
    config = BentConfig(rank=3, l2=0.2, sharpness=0.1)
