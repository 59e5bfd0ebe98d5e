"""Updates of LightGCN beside retraining."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.base import Base, trained
from benchmarks.cases import Case, build
from benchmarks.kept import Kept
from benchmarks.left import left
from benchmarks.lightgcn.measure import DIRECT, PRACTISED, REFINED, SCRATCH, UPDATE, WARM, Forgotten, measure
from benchmarks.lightgcn.picture import draw
from benchmarks.lightgcn.practised import SparseProducts
from benchmarks.lightgcn.report import markdown
from benchmarks.methods.protocol import Budget
from benchmarks.setups import Setup
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models import model_of
from ifru.models.lightgcn import LightGCNConfig
from ifru.objective.graph import Edges

LAYERS = 2


@pytest.fixture(scope="module")
def base() -> Base:
    dataset = split(generate(200, 120, 6000, seed=7), LabelRule.parse("rating>=4"), 0.2, seed=0)
    setup = Setup(None, model=partial(LightGCNConfig, layers=LAYERS), rank=12, l2=0.03)
    return trained("tiny", setup, dataset, 0, Kept())


@pytest.fixture(scope="module")
def rows(base: Base) -> Case:
    return build("rows:20", base, 0, Kept())


@pytest.fixture(scope="module")
def found(base: Base) -> Forgotten:
    return measure(base, "rows:20", Budget(seconds=1.0, repeats=1, coarse=True), 0, Kept())


def test_scores_are_those_of_the_rows_that_each_models_own_graph_passes_on(rows: Case) -> None:
    all_done, old_parameters_on_the_new_graph = left(rows, rows.exact), left(rows, rows.base.theta)
    assert all_done.forgotten == all_done.holdout == 0
    assert old_parameters_on_the_new_graph.forgotten is not None
    assert 0.5 < old_parameters_on_the_new_graph.forgotten < 1


def test_an_update_comes_near_the_retrained_model_and_refinement_nearer(found: Forgotten) -> None:
    by_method = {each.method: each for each in found.methods}
    assert by_method[UPDATE].left.reaches(0.05, 0.05)
    assert by_method[REFINED].left.mean < by_method[UPDATE].left.mean
    assert found.update is by_method[UPDATE]


def test_direct_influence_alone_leaves_more_than_an_update(found: Forgotten) -> None:
    by_method = {each.method: each.left.mean for each in found.methods}
    assert by_method[DIRECT] > 5 * by_method[UPDATE]


def test_more_products_leave_less(found: Forgotten) -> None:
    products = [each.products for each in found.curve]
    shares = [each.left.mean for each in found.curve]
    assert products == sorted(products)
    assert shares == sorted(shares, reverse=True)


def test_both_ways_of_training_to_the_end_find_the_retrained_model(found: Forgotten) -> None:
    for each in found.methods:
        if each.method in {WARM, SCRATCH}:
            assert each.left.reaches(0.02, 0.02)


@pytest.mark.parametrize("edges", ["positives", "all"])
def test_sparse_products_pass_rows_as_the_model_does(base: Base, rows: Case, edges: Edges) -> None:
    config = LightGCNConfig(rank=12, l2=0.03, layers=3, graph=edges)
    theta = base.theta.float().requires_grad_()
    graph = model_of(config).graph(rows.retained, torch.device("cpu"), torch.float32)  # type: ignore[attr-defined]
    passed = SparseProducts(3, edges)(rows.retained)(theta)
    torch.testing.assert_close(passed, graph.propagate(theta.detach()), rtol=1e-4, atol=1e-6)
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=theta.shape).astype(np.float32))
    (gradient,) = torch.autograd.grad((passed * weights).sum(), theta)
    torch.testing.assert_close(gradient, graph.propagate(weights), rtol=1e-4, atol=1e-6)


def test_retraining_as_practised_ranks_better_than_chance(found: Forgotten) -> None:
    (practised,) = [each for each in found.methods if each.method == PRACTISED]
    assert practised.left.auc is not None
    assert practised.left.auc > 0.55


def test_the_tables_have_a_row_for_each_model_and_each_point(found: Forgotten) -> None:
    lines = [line.strip("|").split("|") for line in markdown([found]).splitlines() if line[:1] == "|"]
    names = [line[0].strip() for line in lines]
    assert names[2] == "before the deletion"
    assert names[3 + len(found.methods)] == "exactly retrained"
    assert names[-len(found.curve) :] == [str(each.products) for each in found.curve]
    assert [line[2].strip() for line in lines if line[0].strip().startswith(f"{UPDATE} (")] == ["1"]


def test_a_picture_is_written(found: Forgotten, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "lightgcn.png"
    draw([found, found], "title").savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")
