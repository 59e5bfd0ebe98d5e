"""The residual influence and the bound are held against exact retraining."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from benchmarks.base import Base
from benchmarks.engines import SUPPORTS
from benchmarks.kept import Kept
from benchmarks.rank_correlation import spearman
from benchmarks.residual.__main__ import main
from benchmarks.residual.drawn import KINDS, TOLERANCES, deletions, promise
from benchmarks.residual.measure import SETS, Measured, difference, measure
from benchmarks.residual.report import markdown, summary
from ifru.errors import IfruError


@pytest.fixture(scope="module")
def answers(base: Base) -> list[Measured]:
    return list(measure(base, 6, 3, ("auto", "residual", "global"), 0, Kept(), lambda what, share: None))


def test_random_deletions_are_of_all_kinds_and_leave_most_of_the_data(base: Base) -> None:
    drawn = [deletions(base, np.random.default_rng(seed)) for seed in range(40)]
    assert {each.kind for each in drawn} == set(KINDS)
    for each in drawn:
        assert (len(each.batches) > 1) == (each.kind == "sequence")
        assert len(each.union.train) == sum(len(batch.train) for batch in each.batches) > 0
        assert len(each.union.train) < base.train.retained / 2


def test_random_settings_stay_within_the_range_of_tolerances() -> None:
    asked = [promise(SUPPORTS, np.random.default_rng(seed)) for seed in range(50)]
    low, high = TOLERANCES
    assert all(low <= each.tolerance <= high for each in asked)
    assert {each.support for each in asked} == set(SUPPORTS)


def test_an_unknown_support_is_refused_before_anything_starts() -> None:
    with pytest.raises(IfruError, match="--support is 'magic'; allowed are auto"):
        main(support=["magic"])


def test_the_difference_over_all_pairs_is_that_of_the_score_matrices() -> None:
    random = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 30, 4, generator=random, dtype=torch.float64)
    dense = (one[:12] @ one[12:].T - other[:12] @ other[12:].T).norm()
    assert difference(one, other, 12) == pytest.approx(float(dense), rel=1e-12)
    assert difference(one, one, 12) < 1e-12


def test_the_bound_is_never_below_the_truth(answers: list[Measured]) -> None:
    assert all(min(answer.own, answer.tightened) >= answer.rms > 0 for answer in answers)


def test_the_dual_point_of_a_proven_optimum_makes_the_bound_tighter(answers: list[Measured]) -> None:
    proven = [answer for answer in answers if answer.floor < 1e-4]
    assert len(proven) > len(answers) / 2
    assert all(answer.tightened < answer.own / 2 for answer in proven)


def test_less_residual_influence_leaves_less(answers: list[Measured]) -> None:
    first, last = (choose(answers, key=lambda answer: answer.settled) for choose in (min, max))
    for of in ("all", "retained", "holdout"):
        low, high = first.left[of], last.left[of]
        assert low is not None
        assert high is not None
        assert low < high / 2


def test_ranks_correlate_as_in_scipy() -> None:
    random = np.random.default_rng(0)
    x, y = random.integers(0, 9, 50).astype(float), random.normal(size=50)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert spearman(x, np.exp(x)) == pytest.approx(1)
    assert spearman(x, np.zeros(50)) is None


def test_a_bound_below_the_truth_is_counted(answers: list[Measured]) -> None:
    assert set(summary(answers).violations.values()) == {0}
    wrong = replace(answers[0], own=answers[0].rms / 2)
    assert summary([*answers[1:], wrong]).violations["own dual point"] == 1


def test_the_summary_is_told_in_tables(answers: list[Measured]) -> None:
    text = markdown(summary(answers))
    assert text.startswith("18 answers to 6 deletions.")
    assert all(f"| as settled | {pairs} |" in text for pairs in SETS.values())


def test_a_picture_of_the_figures_is_written(answers: list[Measured], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.residual.picture import draw

    draw(answers, "title").savefig(tmp_path / "residual.png")
    assert (tmp_path / "residual.png").read_bytes().startswith(b"\x89PNG")
