"""The models of this package hold to what every model must."""

from __future__ import annotations

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


class TestAModelFromOutside(Conformance):
    config = BentConfig(rank=3, l2=0.2, sharpness=0.1)
