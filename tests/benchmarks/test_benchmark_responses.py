"""Answers of a model trained as practised, beside several retrained ones."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from benchmarks.responses.measure import Held, Plan, measure
from benchmarks.responses.report import draw, markdown
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models.neumf import NeuMFConfig
from ifru.models.practice import Practice
from ifru.training import silent, train


@pytest.fixture(scope="module")
def found() -> list[Held]:
    dataset = split(generate(120, 80, 2000, seed=7), LabelRule.parse("rating>=4"), 0.2, seed=0)
    config = NeuMFConfig(rank=4, l2=0.2, hidden=(4,), practice=Practice(batch=256, step=0.01, epochs=3))
    trained = train(dataset, [config], dtype=torch.float32)
    return measure(trained, dataset, Plan(20, 2, 3, "push", 0, time.perf_counter), silent)


def test_one_batch_and_all_of_them_are_answered_and_refined(found: list[Held]) -> None:
    assert [(each.name, each.beside.deletions) for each in found] == [
        ("1 batch", 20),
        ("1 batch, refined", 20),
        ("2 batches in a row", 40),
        ("2 batches in a row, refined", 40),
    ]
    for answered, refined in (found[:2], found[2:]):
        assert answered.beside.products == 0 < refined.beside.products
        assert refined.beside.settled_influence < answered.beside.settled_influence
        assert answered.beside.retrained == refined.beside.retrained
        assert len(answered.beside.retrained) == 3


def test_each_is_a_row_with_a_cell_for_each_figure(found: list[Held], tmp_path: Path) -> None:
    head, _, *rows = [line.strip("| ").split(" | ") for line in markdown(found).splitlines() if line[:1] == "|"]
    assert len(rows) == len(found)
    assert {len(row) for row in rows} == {len(head)}
    pytest.importorskip("matplotlib")
    draw(found, "title").savefig(tmp_path / "responses.png")
    assert (tmp_path / "responses.png").read_bytes().startswith(b"\x89PNG")
