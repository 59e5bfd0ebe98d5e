"""Membership inference finds members, and not those that were forgotten."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.base import Base, trained
from benchmarks.kept import Kept
from benchmarks.membership.attack import likelihood_ratio, roc
from benchmarks.membership.measure import ATTACKERS, MODELS, Measured, measure
from benchmarks.membership.picture import draw
from benchmarks.membership.pool import pooled
from benchmarks.membership.report import markdown
from benchmarks.membership.shadows import Shadows
from benchmarks.setups import Setup
from ifru.errors import IfruError
from ifru.evaluation.membership import successes
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models.quality import auc


@pytest.fixture(scope="module")
def attacks(base: Base) -> dict[str, Measured]:
    found = measure(base, 150, 12, 75, 0, Kept(), lambda what, share: None)
    return {attack.attacker: attack for attack in found}


def test_members_come_from_the_training_data_and_others_do_not(base: Base) -> None:
    pool = pooled(base, 100, np.random.default_rng(0))
    assert len(pool.table) == base.train.retained + 100
    for member, rows in ((True, base.train), (False, base.dataset.holdout)):
        positions = pool.targets[pool.member == member]
        known = set(zip(rows.user.tolist(), rows.item.tolist(), rows.label.tolist(), strict=True))
        columns = (getattr(pool.table, name)[positions].tolist() for name in ("user", "item", "label"))
        assert set(zip(*columns, strict=True)) <= known
    assert (pool.table.user[pool.targets[:100]] == base.train.user[pool.deleted]).all()
    assert (pool.table.item[pool.targets[:100]] == base.train.item[pool.deleted]).all()


def test_sampled_negatives_come_and_go_with_their_positive() -> None:
    recorded = replace(generate(80, 60, 1000, seed=7), value=None)
    dataset = split(recorded, LabelRule.parse("positive:1"), 0.2, seed=0)
    base = trained("tiny", Setup(None, rank=4, l2=0.1), dataset, 0, Kept())
    pool = pooled(base, 20, np.random.default_rng(0))
    assert (pool.table.label[pool.targets] == 1).all()
    assert len(pool.table) == base.train.retained + 40
    assert pool.without(pool.targets).retained == base.train.retained - 40


def test_a_confidence_is_the_logit_of_the_labels_probability(base: Base) -> None:
    pool = pooled(base, 30, np.random.default_rng(0))
    score = (
        base.theta[pool.table.user[pool.targets]] * base.theta[base.train.users :][pool.table.item[pool.targets]]
    ).sum(1)
    probability = score.sigmoid().numpy()
    of_label = np.where(pool.table.label[pool.targets] == 1, probability, 1 - probability)
    np.testing.assert_allclose(pool.confidence(base.theta), np.log(of_label / (1 - of_label)), rtol=1e-9)


def test_the_likelihood_ratio_is_that_of_two_gaussians() -> None:
    random = np.random.default_rng(0)
    present = random.random((20, 5)).argsort(0) < 10
    seen, confidence = random.normal(size=(20, 5)), random.normal(size=5)
    found = likelihood_ratio(Shadows(present, seen), confidence)
    for target in range(5):
        sides = (seen[present[:, target], target], seen[~present[:, target], target])
        inside, outside = (stats.norm.logpdf(confidence[target], side.mean(), side.std(ddof=1)) for side in sides)
        assert found[target] == pytest.approx(inside - outside)


def test_success_is_one_where_members_stand_apart_and_guessing_where_they_do_not() -> None:
    random = np.random.default_rng(0)
    member = np.repeat([True, False], 500)
    blind = random.normal(size=1000)
    found = successes({"apart": blind + 100 * member, "blind": blind}, member, "blind", random)
    assert found["apart"].auc.value == found["apart"].caught.value == 1
    assert found["blind"].auc.low < 0.5 < found["blind"].auc.high
    assert found["blind"].caught.value < 0.05
    assert found["blind"].auc_above.low == found["blind"].auc_above.high == 0
    assert found["apart"].auc_above.low > 0.4


def test_the_area_is_that_under_the_roc_curve() -> None:
    random = np.random.default_rng(0)
    member, ratio = random.random(200) < 0.3, random.integers(0, 20, 200).astype(float)
    found = successes({"any": ratio}, member, "any", random)["any"].auc.value
    assert found == pytest.approx(auc(ratio, member.astype(float)))


def test_a_roc_curve_goes_from_nobody_to_everybody() -> None:
    wrong, caught = roc(np.array([3.0, 2.0, 1.0, 0.0]), np.array([True, False, True, False]))
    assert wrong.tolist() == [0, 0, 0.5, 0.5, 1]
    assert caught.tolist() == [0, 0.5, 0.5, 1, 1]


def test_members_are_found_before_the_deletion(attacks: dict[str, Measured]) -> None:
    assert attacks["informed"].successes["before"].auc.low > 0.8
    assert attacks["halves"].successes["before"].auc.value > 0.5


def test_forgotten_members_are_found_no_better_than_after_retraining(attacks: dict[str, Measured]) -> None:
    for attacker in ("halves", "informed"):
        for model in ("updated", "refined"):
            assert abs(attacks[attacker].successes[model].auc_above.value) < 0.02


def test_every_attacker_asks_every_model_that_he_can(attacks: dict[str, Measured]) -> None:
    assert set(attacks) == set(ATTACKERS)
    assert set(attacks["informed"].successes) == set(MODELS)
    assert set(attacks["simulating"].successes) == set(MODELS) - {"before"}


def test_too_many_targets_are_refused(base: Base) -> None:
    with pytest.raises(IfruError, match=r"there are \d+; take a smaller number"):
        pooled(base, 5000, np.random.default_rng(0))


def test_the_figures_are_told_in_a_table_and_drawn(attacks: dict[str, Measured], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert markdown(list(attacks.values())).count("\n") == 1 + 5 + 5 + 4
    draw(list(attacks.values()), "title").savefig(tmp_path / "membership.png")
    assert (tmp_path / "membership.png").read_bytes().startswith(b"\x89PNG")
