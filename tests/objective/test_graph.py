"""Rows passed along a graph, on both paths, against dense powers of its adjacency."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given

from ifru.objective.graph import CompiledGraph, Graph
from tests.objective.dense_reference import numerical
from tests.objective.graph_reference import (
    CPU,
    Problem,
    components,
    dense_table,
    plain_adjacency,
    plain_propagation,
    problems,
)

PATHS = pytest.mark.parametrize("path", ["compiled", "torch"])


@PATHS
@numerical
@given(problem=problems())
def test_propagation_is_the_mean_of_powers_of_the_normalised_adjacency_and_stays_so(
    path: str, problem: Problem
) -> None:
    graph = problem.graph(path)
    for _ in range(3):
        dense = plain_propagation(problem, graph.interactions)
        torch.testing.assert_close(graph.propagate(problem.theta), dense @ problem.theta, rtol=1e-12, atol=1e-12)
        gone = problem.some_alive(graph.interactions)
        graph.interactions.delete(gone)
        graph.remove(gone)


@PATHS
@numerical
@given(problem=problems())
def test_listed_rows_are_those_of_all(path: str, problem: Problem) -> None:
    graph = problem.graph(path)
    rows = torch.from_numpy(problem.some(len(problem.theta)))
    whole = graph.propagate(problem.theta)
    torch.testing.assert_close(graph.propagate(problem.theta, rows), whole[rows], rtol=1e-12, atol=1e-12)


@PATHS
@numerical
@given(problem=problems())
def test_what_rows_reach_is_all_that_they_change(path: str, problem: Problem) -> None:
    graph = problem.graph(path)
    rows = torch.from_numpy(problem.some(len(problem.theta)))
    reached = graph.reach(rows)
    moved = problem.theta.clone()
    moved[rows] += 1
    changed = (graph.propagate(moved) != graph.propagate(problem.theta)).any(1).nonzero()[:, 0]
    assert set(changed.tolist()) <= set(reached.tolist())
    assert reached.tolist() == sorted(set(reached.tolist()))


@numerical
@given(problem=problems())
def test_both_paths_reach_the_same(problem: Problem) -> None:
    rows = torch.from_numpy(problem.some(len(problem.theta)))
    assert torch.equal(problem.graph("compiled").reach(rows), problem.graph("torch").reach(rows))


@numerical
@given(problem=problems())
def test_ends_are_the_rows_that_lose_edges(problem: Problem) -> None:
    graph = problem.graph("torch")
    gone = problem.some_alive(graph.interactions)
    without = graph.interactions.copy()
    without.delete(gone)
    before, after = (plain_adjacency(problem, table).sum(1) for table in (graph.interactions, without))
    assert graph.ends(gone).tolist() == np.flatnonzero(before != after).tolist()


@pytest.mark.parametrize("kind", [Graph, CompiledGraph])
def test_a_row_of_a_small_component_reaches_that_component_alone(kind: type[Graph]) -> None:
    graph = kind(components(30), "all", 3, *([CPU] if kind is Graph else []), torch.float64)
    assert graph.reach(torch.tensor([4])).tolist() == [4, 5, 64, 65]


@pytest.mark.parametrize("kind", [Graph, CompiledGraph])
def test_a_reach_of_more_than_half_of_the_edges_is_everything(kind: type[Graph]) -> None:
    graph = kind(components(3), "all", 2, *([CPU] if kind is Graph else []), torch.float64)
    assert graph.reach(torch.tensor([0])).tolist() == [0, 1, 6, 7]
    assert graph.reach(torch.tensor([0, 2])).tolist() == list(range(12))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
@pytest.mark.parametrize("width", [1, 7, 8, 9, 16, 17, 33, 64, 70])
def test_rows_of_any_width_are_passed_on_whole(dtype: torch.dtype, tolerance: float, width: int) -> None:
    table = dense_table(40, 60)
    x = torch.from_numpy(np.random.default_rng(width).normal(size=(100, width))).to(dtype)
    compiled, reference = CompiledGraph(table, "all", 2, dtype), Graph(table, "all", 2, CPU, dtype)
    torch.testing.assert_close(compiled.propagate(x), reference.propagate(x), rtol=tolerance, atol=tolerance)


def test_edges_beyond_one_chunk_count_like_the_others() -> None:
    """The torch path gathers rows for a quarter of a million edges at a time."""
    table = dense_table(900, 800)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(1700, 2)))
    assert len(table) > 1 << 18
    compiled, reference = CompiledGraph(table, "all", 1, torch.float64), Graph(table, "all", 1, CPU, torch.float64)
    torch.testing.assert_close(compiled.propagate(x), reference.propagate(x))
