"""The debt identity: what is carried along equals the gradient computed anew."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.objective.dense_reference import Problem, numerical, plain_gradient, problems

PATHS = pytest.mark.parametrize("path", ["compiled", "torch"])


@PATHS
@numerical
@given(problem=problems(), steps=st.lists(st.sampled_from(["delete", "move"]), min_size=1, max_size=8))
def test_debt_carried_through_deletions_and_moves_is_the_recomputed_gradient(
    path: str, problem: Problem, steps: list[str]
) -> None:
    point = problem.point(path)
    objective = point.objective
    for step in steps:
        if step == "delete":
            gone = problem.some_alive(objective.interactions)
            objective.interactions.delete(gone)
            objective.remove(point, gone)
        else:
            rows = problem.support()
            before = point.theta[rows].clone()
            point.theta[rows] += problem.normal(len(rows), point.theta.shape[1])
            point.update(rows, before)
    left = objective.ridge > 0
    expected = plain_gradient(problem, point.theta, objective.interactions)
    torch.testing.assert_close(point.gradient[left], expected[left], rtol=1e-8, atol=1e-8)
    fresh = objective.at(point.theta)
    torch.testing.assert_close(point.first, fresh.first, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(point.second, fresh.second, rtol=1e-8, atol=1e-8)


@PATHS
@numerical
@given(problem=problems())
def test_an_update_leaves_the_gradient_of_rows_that_are_no_neighbours_untouched(path: str, problem: Problem) -> None:
    point = problem.point(path)
    rows, table = problem.support(), point.objective.interactions
    kept = point.gradient.clone()
    moved = np.isin(np.arange(len(kept)), rows.numpy())
    item = table.item + table.users
    reached = moved.copy()
    reached[item[table.alive & moved[table.user]]] = True
    reached[table.user[table.alive & moved[item]]] = True
    before = point.theta[rows].clone()
    point.theta[rows] += problem.normal(len(rows), point.theta.shape[1])
    read = point.update(rows, before)
    assert torch.equal(point.gradient[~reached], kept[~reached])
    assert read <= int((moved[table.user] | moved[item]).sum())
