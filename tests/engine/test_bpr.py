"""The engine on the loss of preferences, where what is deleted may be a negative alone."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Dataset, Deletion
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.kernels.dispatch import torch_only
from ifru.models import MFConfig, ModelConfig
from ifru.models.lightgcn import LightGCNConfig
from ifru.objective.parameters import Parameters
from ifru.training import fit, polish
from tests.engine.conftest import train_rows

CPU = torch.device("cpu")
CONFIGS: dict[str, ModelConfig] = {
    "plain": MFConfig(rank=16, l2=0.15, loss="bpr"),
    "bias": MFConfig(rank=16, l2=0.15, loss="bpr", bias=True),
    "graph": LightGCNConfig(rank=16, l2=0.03, loss="bpr"),
}
kinds = pytest.mark.parametrize("kind", CONFIGS)


@cache
def preferences() -> Dataset:
    return split(generate(80, 60, 1200, seed=7), LabelRule.parse("positive:2"), 0.2, seed=0)


@cache
def base(kind: str) -> torch.Tensor:
    return fit(preferences().train, CONFIGS[kind], seed=0, device=CPU, dtype=torch.float64).theta


def engine(kind: str, **wanted: object) -> Engine:
    dataset = preferences().copy()
    tables = Parameters.unstacked(base(kind).clone(), dataset.train.users)
    return Engine(CONFIGS[kind], tables, dataset, EngineSettings.model_validate(wanted))


def some(table: Dataset, what: str, number: int) -> Deletion:
    match what:
        case "user":
            return table.of_user(number % table.train.users)
        case "item":
            return table.of_item(number % table.train.items)
        case "pair":
            row = int(np.flatnonzero(table.train.recorded)[number])
            return table.of_pair(int(table.train.user[row]), int(table.train.item[row]))
        case _:
            return train_rows(np.random.default_rng(number).choice(len(table.train), 5, replace=False))


deletions = st.lists(
    st.tuples(st.sampled_from(["user", "item", "pair", "any rows", "refine"]), st.integers(0, 500)),
    min_size=1,
    max_size=6,
)


@kinds
@settings(max_examples=10, deadline=None)
@given(steps=deletions, support=st.sampled_from(["auto", "k_hop", "global"]))
def test_carried_debt_is_the_gradient_of_the_retained_objective(
    kind: str, steps: list[tuple[str, int]], support: str
) -> None:
    running = engine(kind, support=support)
    for what, number in steps:
        if what == "refine":
            running.refine()
        else:
            running.apply(some(running.dataset, what, number))
    running.settle()
    exact = running.state.objective.at(running.state.point.theta).gradient
    torch.testing.assert_close(running.state.point.gradient, exact, rtol=0, atol=1e-9)


@kinds
def test_no_block_in_the_cache_has_a_trace_of_a_deleted_negative(kind: str) -> None:
    """The item of a positive whose negatives go lost no interaction, but a part of its block."""
    running = engine(kind)
    state, rows = running.state, running.state.rows
    state.preconditioner(rows)
    drawn = np.flatnonzero(~running.dataset.train.recorded)[:40:4]
    running.dataset.delete(train_rows(drawn))
    state.remove(drawn)
    state.settle()
    unit = torch.eye(base(kind).shape[1], dtype=torch.float64)
    fresh = state.point.blocks(rows)
    held = state.preconditioner(rows)
    lost = torch.from_numpy(np.unique(running.dataset.train.item[running.dataset.train.origin[drawn]])).long()
    for row in (lost + running.dataset.train.users).tolist():
        for column in unit:
            x = torch.zeros_like(state.point.theta)
            x[row] = column
            torch.testing.assert_close(fresh[row] @ held.apply(x)[row], column, rtol=1e-7, atol=1e-7)


@kinds
@pytest.mark.parametrize("what", ["item", "pair", "any rows"])
def test_refinement_ends_at_the_retrained_model(kind: str, what: str) -> None:
    running = engine(kind, refined=1e-4)
    for number in (3, 40, 200):
        running.apply(some(running.dataset, what, number))
    while running.refine() is not None:
        pass
    train, objective = running.dataset.train, running.state.objective
    exact = polish(train, CONFIGS[kind], base(kind) * (objective.ridge > 0)[:, None]).theta

    def scores(theta: torch.Tensor) -> torch.Tensor:
        z, rank = objective.serving(theta), CONFIGS[kind].rank
        users, items = z[: train.users], z[train.users :]
        return users[:, :rank] @ items[:, :rank].T + items[:, rank:].sum(1)

    left, changed = (scores(theta) - scores(exact) for theta in (running.state.point.theta, base(kind)))
    assert float(left.norm() / changed.norm()) <= 2e-3


@kinds
def test_updates_are_those_of_the_torch_path(kind: str) -> None:
    compiled = engine(kind)
    with torch_only():
        other = engine(kind)
    for what, number in (("item", 5), ("pair", 77), ("any rows", 3), ("user", 9)):
        ours = compiled.apply(some(compiled.dataset, what, number))
        with torch_only():
            theirs = other.apply(some(other.dataset, what, number))
        assert ours.method == theirs.method
        torch.testing.assert_close(compiled.state.point.theta, other.state.point.theta, rtol=1e-6, atol=1e-8)
