"""The debt identity: what is carried along equals the gradient computed anew."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ifru.objective import Objective, Slopes
from tests.objective.dense_reference import Problem, numerical, plain_gradient, problems

PATHS = pytest.mark.parametrize("path", ["compiled", "torch"])


def delete(objective: Objective, theta: Tensor, slopes: Slopes, debt: Tensor, gone: np.ndarray) -> None:
    """Take interactions out of the objective, their slopes and the debt."""
    place = torch.from_numpy(gone)
    rows, parts = objective.pull(theta, slopes, place)
    debt[rows] -= parts
    objective.interactions.delete(gone)
    objective.delete(gone)
    slopes.first[place] = 0
    slopes.second[place] = 0


@PATHS
@numerical
@given(problem=problems(), steps=st.lists(st.sampled_from(["delete", "move"]), min_size=1, max_size=8))
def test_debt_carried_through_deletions_and_moves_is_the_recomputed_gradient(
    path: str, problem: Problem, steps: list[str]
) -> None:
    objective, theta = problem.objective(path), problem.theta.clone()
    slopes = objective.slopes(theta)
    debt = objective.gradient(theta, slopes)
    for step in steps:
        if step == "delete":
            delete(objective, theta, slopes, debt, problem.some_alive(objective.interactions))
        else:
            rows = problem.support()
            before = theta[rows].clone()
            theta[rows] += problem.normal(len(rows), theta.shape[1])
            objective.spread(before, theta, slopes, rows, debt)
    expected = plain_gradient(problem, theta, objective.interactions)
    torch.testing.assert_close(debt, expected, rtol=1e-8, atol=1e-8)
    fresh = objective.slopes(theta)
    torch.testing.assert_close(slopes.first, fresh.first, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(slopes.second, fresh.second, rtol=1e-8, atol=1e-8)


@PATHS
@numerical
@given(problem=problems())
def test_spread_leaves_the_debt_of_rows_that_are_no_neighbours_untouched(path: str, problem: Problem) -> None:
    objective, theta = problem.objective(path), problem.theta.clone()
    slopes = objective.slopes(theta)
    rows, table = problem.support(), objective.interactions
    debt = objective.gradient(theta, slopes)
    kept = debt.clone()
    moved = np.isin(np.arange(len(theta)), rows.numpy())
    item = table.item + table.users
    reached = moved.copy()
    reached[item[table.alive & moved[table.user]]] = True
    reached[table.user[table.alive & moved[item]]] = True
    before = theta[rows].clone()
    theta[rows] += problem.normal(len(rows), theta.shape[1])
    read = objective.spread(before, theta, slopes, rows, debt)
    assert torch.equal(debt[~reached], kept[~reached])
    assert read <= int((moved[table.user] | moved[item]).sum())
