"""Every kind of model, side by side."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from benchmarks.base import trained
from benchmarks.kept import Kept
from benchmarks.methods.protocol import Budget
from benchmarks.models.families import FAMILIES, Family
from benchmarks.models.measure import SEEDS, Compared, measure
from benchmarks.models.picture import draw
from benchmarks.models.report import markdown
from benchmarks.setups import Setup
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from tests.models.bent import BentConfig

BENT = Family(partial(BentConfig, sharpness=0.1))


def compared(family: Family, case: str, **setup: object) -> Compared:
    recorded = generate(200, 120, 6000, seed=7)
    if family.label is not None:
        recorded = replace(recorded, value=None)
    dataset = split(recorded, LabelRule.parse(family.label or "rating>=4"), 0.2, seed=0)
    base = trained("tiny", replace(Setup(None, model=family.config, l2=0.05), **setup), dataset, 0, Kept())
    return measure(base, family, case, Budget(seconds=1.0, repeats=1, coarse=True), 0, Kept())


@pytest.fixture(scope="module", params=["mf", "lightgcn", "ials"])
def provable(request: pytest.FixtureRequest) -> Compared:
    """Models with one retrained model."""
    if request.param == "ials":
        pytest.importorskip("implicit")
    return compared(FAMILIES[request.param], "rows:20", rank=12)


@pytest.fixture(scope="module")
def bent() -> Compared:
    """A model that has as many retrained ones as there are seeds."""
    return compared(BENT, "rows:20", rank=3)


def test_an_update_comes_near_the_retrained_model(provable: Compared) -> None:
    assert provable.left is not None
    assert provable.left.reaches(0.05, 0.1)
    assert provable.deleted == 20
    (exact,) = provable.retrained
    for figure in ("forgotten", "holdout", "auc", "ndcg10"):
        assert getattr(provable.after, figure) == pytest.approx(getattr(exact, figure), abs=2e-3)
    assert provable.before.forgotten < provable.after.forgotten


def test_retraining_as_practised_is_timed(provable: Compared) -> None:
    assert provable.practised is not None
    assert provable.practised > 0


def test_a_model_without_a_unique_target_stands_beside_several_retrains(bent: Compared) -> None:
    assert bent.left is None
    assert bent.practised is None
    assert len(bent.retrained) == SEEDS
    assert bent.before.forgotten < bent.after.forgotten


def test_the_table_has_a_row_for_each_model_and_a_cell_for_each_figure(provable: Compared, bent: Compared) -> None:
    low, *others = bent.retrained
    lines = markdown([provable, replace(bent, retrained=(replace(low, forgotten=0.25), *others))]).splitlines()
    head, _, *rows = [line.strip("| ").split(" | ") for line in lines if line[:1] == "|"]
    assert [row[0].split(",")[0] for row in rows] == [provable.model, "bent"]
    assert {len(row) for row in rows} == {len(head)}
    assert "0.2500 to " in rows[1][head.index("loss, forgotten: before, after, retrained")]
    assert rows[1][2] == rows[1][-1] == "-"


def test_a_picture_is_written(provable: Compared, bent: Compared, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "models.png"
    draw([provable, bent], "title").savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")
