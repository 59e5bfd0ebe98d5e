"""The models of this package hold to what every model must."""

from __future__ import annotations

from ifru.interactions import Dataset
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models import MFConfig
from ifru.models.lightgcn import LightGCNConfig
from ifru.testing import Conformance
from tests.models.bent import BentConfig


class TestMF(Conformance):
    config = MFConfig(rank=8, l2=0.2)


class TestMFWithBiases(Conformance):
    config = MFConfig(rank=8, l2=0.2, bias=True)


class TestMFOfSquares(Conformance):
    config = MFConfig(rank=8, l2=0.2, loss="squared")


class TestLightGCNOfOneLayer(Conformance):
    config = LightGCNConfig(rank=8, l2=0.1, layers=1)


class TestLightGCNOfTwoLayers(Conformance):
    config = LightGCNConfig(rank=8, l2=0.1, layers=2)


class TestLightGCNOfThreeLayers(Conformance):
    config = LightGCNConfig(rank=8, l2=0.1, layers=3, loss="squared", graph="all")


class OfPreferences(Conformance):
    @classmethod
    def dataset(cls) -> Dataset:
        return split(generate(60, 40, 400, seed=3), LabelRule.parse("positive:2"), 0.2, seed=0)


class TestMFOfPreferences(OfPreferences):
    config = MFConfig(rank=12, l2=0.15, loss="bpr")


class TestMFWithBiasesOfPreferences(OfPreferences):
    config = MFConfig(rank=12, l2=0.15, loss="bpr", bias=True)


class TestLightGCNOfPreferences(OfPreferences):
    config = LightGCNConfig(rank=12, l2=0.05, loss="bpr")


class TestAModelFromOutside(Conformance):
    config = BentConfig(rank=3, l2=0.2, sharpness=0.1)
