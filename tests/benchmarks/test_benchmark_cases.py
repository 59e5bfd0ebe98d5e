"""What the cases delete, and what exact retraining is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.base import Base, trained
from benchmarks.cases import Case, build, default_names, describe
from benchmarks.core import core
from benchmarks.kept import Kept
from benchmarks.left import left
from benchmarks.setups import SETUPS, Setup, default_setup, load
from ifru.errors import DataError, IfruError
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models import model_of

CaseOf = Callable[[str], Case]


def test_the_exact_model_is_stationary_on_what_is_retained(rows: Case) -> None:
    objective = model_of(rows.base.config).objective(rows.retained, torch.device("cpu"), torch.float64)
    gradient = objective.at(rows.exact).gradient
    assert float(gradient.norm()) < 1e-5


def test_doing_nothing_leaves_everything_and_retraining_nothing(rows: Case) -> None:
    nothing, all_done = left(rows, rows.base.theta), left(rows, rows.exact)
    assert nothing.forgotten == nothing.holdout == 1
    assert all_done.forgotten == all_done.holdout == 0
    assert nothing.reaches(1, 1)
    assert not nothing.reaches(0.9, 2)
    assert nothing.mean == 1
    assert all_done.mean == 0


def test_random_rows_are_as_many_as_asked_for(case_of: CaseOf) -> None:
    case = case_of("rows:17")
    assert len(case.deletion.train) == 17
    assert len(case.deletion.holdout) == 0
    assert case.retained.retained == case.base.train.retained - 17


def test_users_go_with_all_their_rows(users: Case) -> None:
    train = users.base.train
    gone = np.unique(train.user[users.deletion.train])
    assert len(gone) == 3
    assert (users.retained.user_degree[gone] == 0).all()
    assert set(gone.tolist()) <= set(users.emptied.tolist())
    assert not np.isin(users.base.dataset.holdout.user[users.held_out(users.base.test)], gone).any()
    assert float(users.exact[users.emptied].norm()) == 0


@pytest.mark.parametrize(("name", "side"), [("items:2", "item"), ("active:2", "user")])
def test_the_busiest_go_first(case_of: CaseOf, name: str, side: str) -> None:
    case = case_of(name)
    degree = getattr(case.base.train, f"{side}_degree")
    gone = np.unique(getattr(case.base.train, side)[case.deletion.train])
    assert sorted(degree[gone]) == sorted(degree)[-2:]


def test_a_month_goes_as_a_whole(case_of: CaseOf) -> None:
    case = case_of("month")
    train = case.base.train
    assert train.time is not None
    months = train.time.astype("datetime64[us]").astype("datetime64[M]")
    (gone,) = set(months[case.deletion.train].tolist())
    assert not (months[case.retained.alive] == np.datetime64(gone)).any()
    assert len(case.deletion.holdout) > 0


def test_the_halves_of_the_held_out_rows_do_not_overlap(base: Base) -> None:
    assert len(np.intersect1d(base.validation, base.test)) == 0
    assert len(base.validation) + len(base.test) == len(base.dataset.holdout)


def test_all_cases_are_there_where_there_are_times(base: Base) -> None:
    assert [describe(name) for name in default_names(base)] == [
        "100 random interactions",
        "10 whole users",
        "the 3 most popular items",
        "the 5 most active users",
        "all rows of 1 calendar month(s)",
    ]


@pytest.mark.parametrize("name", ["films:3", "rows:x", "rows:0"])
def test_an_unknown_case_names_the_known_ones(base: Base, name: str) -> None:
    with pytest.raises(IfruError, match=r"allowed are rows, users, items, active, month"):
        build(name, base, 0, Kept())


def test_more_than_there_is_cannot_be_deleted(base: Base) -> None:
    with pytest.raises(IfruError, match="take a smaller number"):
        build("users:1000", base, 0, Kept())


def test_what_was_kept_is_not_computed_again(tmp_path: Path) -> None:
    kept, made = Kept(tmp_path / "kept"), iter([torch.ones(2), torch.zeros(2)])
    first = kept.tensor(("a", np.arange(3)), lambda: next(made))
    again = kept.tensor(("a", np.arange(3)), lambda: next(made))
    other = kept.tensor(("a", np.arange(4)), lambda: next(made))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_data_files_the_generated_set_is_taken(tmp_path: Path) -> None:
    assert default_setup(tmp_path) == "generated"
    with pytest.raises(DataError, match="--data generated"):
        load(SETUPS["ml-100k"], tmp_path, 0)


def test_a_core_leaves_nobody_with_too_few_rows() -> None:
    recorded = generate(200, 150, 1500, seed=3)
    found = core(recorded, 5)
    assert 0 < len(found.user) < 1500
    for side, names in ((found.user, found.users), (found.item, found.items)):
        assert len(names) == side.max() + 1
        assert np.bincount(side).min() >= 5
    pairs = set(zip(recorded.user.tolist(), recorded.item.tolist(), strict=True))
    for user, item in zip(found.user.tolist(), found.item.tolist(), strict=True):
        assert (int(found.users[user][1:]), int(found.items[item][1:])) in pairs


def test_a_core_that_nobody_is_in_is_refused() -> None:
    with pytest.raises(DataError, match="nothing is left of the data in its 900-core"):
        core(generate(200, 150, 1500, seed=3), 900)


def test_lambda_is_chosen_by_validation_where_none_is_given() -> None:
    dataset = split(generate(80, 60, 1000, seed=7), LabelRule.parse("rating>=4"), 0.2, seed=0)
    base = trained("tiny", Setup(None, rank=2), dataset, 0, Kept())
    assert len(base.tried) > 1
    assert base.tried[base.config.l2] == max(base.tried.values())
