"""The kinds of models that are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from benchmarks.cases import Case
from benchmarks.lightgcn import practised as lightgcn_practised
from benchmarks.methods import implicit_als, practised
from benchmarks.methods.protocol import Budget, Point
from benchmarks.setups import Setup
from ifru.models import MFConfig, ModelConfig
from ifru.models.deepfm import DeepFMConfig
from ifru.models.ials import IALSConfig
from ifru.models.lightgcn import LightGCNConfig
from ifru.models.neumf import NeuMFConfig
from ifru.models.two_tower import TwoTowerConfig


@dataclass(frozen=True)
class Family:
    """config: from rank and l2. l2: by data set, where it is another λ than the data set's own. label: of all data
    sets, where it is another rule than their own.

    practised(case, budget): retraining as practised, as a curve whose last point is where it ends; None where that is
    how this project trains it too.
    """

    config: Callable[..., ModelConfig]
    l2: Mapping[str, float] = field(default_factory=dict)
    practised: Callable[[Case, Budget], Iterator[Point]] | None = None
    label: str | None = None


def setup_of(family: Family, data: str, setup: Setup) -> Setup:
    """A data set's setup with a kind of model."""
    l2, label = family.l2.get(data, setup.l2), family.label or setup.label
    return replace(setup, model=family.config, l2=l2, label=label)


_NEURAL = {"ml-100k": 0.05, "generated": 0.05, "ml-1m-implicit": 0.05, "amazon-digital-music": 0.05}

NEURAL = ("neumf", "two-tower", "deepfm")
"""Those that are trained as practised."""

FAMILIES = {
    "mf": Family(MFConfig, practised=practised.run),
    "lightgcn": Family(
        partial(LightGCNConfig, layers=2),
        {"ml-100k": 0.05, "generated": 0.05, "ml-1m-implicit": 0.02, "amazon-digital-music": 0.05},
        lightgcn_practised.run,
    ),
    "bpr": Family(partial(MFConfig, loss="bpr"), label="positive:1"),
    "ials": Family(
        IALSConfig,
        {"ml-100k": 20.0, "generated": 20.0, "ml-1m-implicit": 34.0, "amazon-digital-music": 11.0},
        implicit_als.run,
        "positive:0",
    ),
    "neumf": Family(NeuMFConfig, _NEURAL),
    "two-tower": Family(TwoTowerConfig, _NEURAL),
    "deepfm": Family(DeepFMConfig, _NEURAL),
}
"""Name -> what is compared under it."""
