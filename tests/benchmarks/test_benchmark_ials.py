"""Updates of iALS beside fits by the package `implicit`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.base import trained
from benchmarks.ials import Compared, compare, draw, markdown
from benchmarks.kept import Kept
from benchmarks.methods import implicit_als
from benchmarks.methods.protocol import Budget
from benchmarks.models.families import FAMILIES, setup_of
from benchmarks.runner import RunOnData
from benchmarks.setups import Setup
from ifru.errors import IfruError
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models.ials import IALSConfig


@pytest.fixture(scope="module")
def compared() -> Compared:
    pytest.importorskip("implicit")
    setup = setup_of(FAMILIES["ials"], "tiny", replace(Setup(None, rank=12), l2=6.0))
    recorded = replace(generate(200, 120, 6000, seed=7), value=None)
    dataset = split(recorded, LabelRule.parse(setup.label), setup.holdout, seed=0)
    base = trained("tiny", setup, dataset, 0, Kept())
    return compare(base, "rows:20", (0.01, 0.3), (1, 60), Budget(repeats=1), RunOnData())


def test_an_update_comes_nearer_the_retrained_model_than_a_fit_that_has_not_converged(compared: Compared) -> None:
    exact, loose, short, long, seeds = (way.left for way in compared.ways)
    assert exact.reaches(0.05, 0.1)
    assert exact.mean < loose.mean
    assert exact.mean < long.mean < short.mean
    assert exact.mean < seeds.mean


def test_a_row_of_the_table_has_each_way_and_how_much_faster_than_each_fit(compared: Compared) -> None:
    head, _, *rows = [line.strip("| ").split(" | ") for line in markdown([compared]).splitlines() if line[:1] == "|"]
    fits = ["implicit, 1 iterations", "implicit, 60 iterations", "implicit, one seed to another, 1 iterations"]
    assert [row[0] for row in rows] == ["update to 0.01", "update to 0.3", *fits]
    assert head[3:5] == ["× faster than 1 iterations", "than 60"]
    assert rows[2][3] == rows[3][4] == "1"


def test_a_picture_is_written(compared: Compared, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "ials.png"
    draw([compared], "title").savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_an_objective_that_implicit_does_not_have_is_refused() -> None:
    with pytest.raises(IfruError, match="plain penalty"):
        implicit_als.fitted(None, IALSConfig(rank=2, l2=1.0, penalty="frequency"), 1)
