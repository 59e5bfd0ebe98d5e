"""Intervals of requests are held against a retrained model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.base import Base
from benchmarks.chosen_pairs import Measured, draw, drawn, markdown, measure
from benchmarks.runner import RunOnData


@pytest.fixture(scope="module")
def found(base: Base) -> Measured:
    return measure(base, 5, RunOnData())


def test_requests_are_of_recorded_rows_of_different_users(base: Base) -> None:
    asked = drawn(base, 30, np.random.default_rng(0))
    users = [np.unique(base.train.user[rows]) for rows in asked]
    assert all(len(each) == 1 for each in users)
    assert len(np.unique(users)) == len(asked) == 30
    assert all(1 <= len(np.unique(rows)) == len(rows) <= 20 for rows in asked)
    assert all(base.train.recorded[rows].all() for rows in asked)


def test_every_interval_holds_the_truth_and_is_narrow(found: Measured) -> None:
    assert all(each.holds for each in found.requests)
    assert np.median([each.left(each.refined) for each in found.requests]) < 0.02


def test_it_is_told_in_a_table_and_drawn(found: Measured, tmp_path: Path) -> None:
    text = markdown(found)
    assert text.startswith("5 of 5 intervals hold the truth")
    assert "| refined |" in text
    pytest.importorskip("matplotlib")
    draw(found, "title").savefig(tmp_path / "pairs.png")
    assert (tmp_path / "pairs.png").read_bytes().startswith(b"\x89PNG")
