"""A model of everything that a format has to hold: a third table, three kinds of columns, shared and serving tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch

from ifru.interactions import Dataset, Interactions
from ifru.models import ModelConfig, register
from ifru.objective.parameters import Layout, Parameters, ParameterUpdate, Steps
from ifru.snapshots import Change, FullState, Manifest
from tests.snapshots.cases import RESIDUAL, Live


class TowersConfig(ModelConfig):
    """layers: a hyper-parameter that no other model has."""

    name: Literal["towers"] = "towers"
    layers: int = 2


@dataclass(frozen=True)
class Towers:
    """No score: what is stored of a model does not depend on it."""

    config: TowersConfig

    @property
    def columns(self) -> Mapping[str, int]:
        return {"embedding": self.config.rank, "bias": 1, "field": 2}

    def layout(self, users: int, items: int) -> Layout:
        return Layout({"user": users, "item": items, "genre": 5}, self.columns, {"weight": (2, 3), "scale": ()})

    def serving(self, parameters: Parameters, train: Interactions) -> Parameters:
        return Parameters({name: 2 * table for name, table in parameters.tables.items()}, parameters.shared)


register(TowersConfig, Towers)
CONFIG = TowersConfig(rank=2, l2=0.1, layers=3)


def parameters_of(users: int, items: int, dtype: torch.dtype) -> Parameters:
    layout, generator = Towers(CONFIG).layout(users, items), torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    tables = {name: drawn(rows, layout.width) for name, rows in layout.rows.items()}
    return Parameters(tables, {name: drawn(*shape) for name, shape in layout.shared.items()})


def data() -> Dataset:
    """Interactions whose loss derivatives are counted from some value."""
    dataset = Live.new(timed=True).dataset
    columns = dataset.train.columns()
    columns = replace(columns, offset=np.linspace(-1, 1, len(columns), dtype=np.float32))
    return replace(dataset, train=Interactions(columns, dataset.train.users, dataset.train.items))


def state(dtype: torch.dtype = torch.float32, **others: Any) -> FullState:
    dataset = data()
    parameters = parameters_of(dataset.train.users, dataset.train.items, dtype)
    return FullState(CONFIG, parameters, dataset, **others)


def forgets(state: FullState, user: int, **others: Any) -> Change:
    """Delete a user, and move their row, two genres, a shared tensor, and in steps some items; `state` follows."""
    tables, shared = state.parameters.tables, state.parameters.shared
    deletion = state.dataset.delete(state.dataset.of_user(user))
    tables["user"][user] = 0
    tables["genre"][[1, 3]] += 1
    shared["scale"] += 1
    moved = {"user": torch.tensor([user]), "genre": torch.tensor([1, 3])}
    update = ParameterUpdate(
        {name: (rows, tables[name][rows]) for name, rows in moved.items()}, {"scale": shared["scale"].clone()}
    )
    if tables["item"].dtype == torch.float32:
        steps = Steps(
            torch.tensor([0, 2, 3]), torch.tensor([-9.0, -3.0, -20.0]), torch.tensor([1.0, -300, 32767])[:, None]
        )
        steps = replace(steps, counts=steps.counts - torch.arange(5.0))
        tables["item"][steps.rows] = steps.of(tables["item"][steps.rows])
        update = replace(update, steps={"item": steps})
    return Change(update, deletion, positions={}, events=[], residual=RESIDUAL, **others)


def assert_equal(read: Parameters, written: Parameters) -> None:
    """To the bit and the type."""
    for ours, theirs in ((read.tables, written.tables), (read.shared, written.shared)):
        assert list(ours) == list(theirs)
        for name, tensor in ours.items():
            assert tensor.dtype == theirs[name].dtype, name
            assert torch.equal(tensor, theirs[name]), name


def offsets(dataset: Dataset) -> np.ndarray:
    offset = dataset.train.columns().offset
    assert offset is not None
    return offset


def rows_of(manifest: Manifest) -> dict[str, tuple[int, str]]:
    return {name: (table.rows, table.dtype) for name, table in manifest.tables.items()}
