"""Two versions betray what was deleted between them, and the attack finds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.base import Base, stationary
from benchmarks.kept import Kept
from benchmarks.reconstruction.evidence import from_data, from_versions
from benchmarks.reconstruction.measure import SEEN, Measured, measure, repeats
from benchmarks.reconstruction.picture import draw
from benchmarks.reconstruction.pursuit import by_score, pursue
from benchmarks.reconstruction.report import markdown
from ifru.interactions import Interactions


def without(base: Base, rows: list[int]) -> tuple[Interactions, Tensor]:
    """The data without some rows, and the model retrained on it."""
    retained = base.train.copy()
    retained.delete(np.array(rows))
    theta = base.theta.clone()
    theta[torch.from_numpy(retained.degree == 0)] = 0
    return retained, stationary(retained, base.config, theta, base.stationary)


def pairs(base: Base, rows: list[int]) -> set[tuple[int, int]]:
    return set(zip(base.train.user[rows].tolist(), base.train.item[rows].tolist(), strict=True))


def named(found: Tensor) -> set[tuple[int, int]]:
    return {(user, item) for user, item in found.tolist()}


@pytest.fixture(scope="module")
def attacks(base: Base) -> list[Measured]:
    return list(measure(base, [20, 60], 0, Kept(), lambda what, share: None))


@pytest.mark.parametrize("row", [5, 1234, 4000])
def test_a_single_deletion_is_found_in_the_versions_alone(base: Base, row: int) -> None:
    _, after = without(base, [row])
    assert named(pursue(from_versions(base.theta, after, base.train.users, base.config), 1)) == pairs(base, [row])


def test_turning_all_rows_hides_nothing(base: Base) -> None:
    rows = [17, 2000, 4100]
    _, after = without(base, rows)
    turn = torch.linalg.qr(torch.randn(10, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).Q
    found, turned = (
        pursue(from_versions(base.theta, version, base.train.users, base.config), 3)
        for version in (after, after @ turn)
    )
    assert torch.equal(found, turned)


def test_an_old_version_and_the_retained_data_betray_a_whole_batch(base: Base) -> None:
    rows = list(range(3, 4800, 240))
    retained, _ = without(base, rows)
    evidence = from_data(base.theta, retained, base.config)
    untouched = torch.ones(len(base.theta), dtype=torch.bool)
    for user, item in pairs(base, rows):
        untouched[[user, base.train.users + item]] = False
    assert float(evidence.pull[untouched].norm()) < 1e-4 * float(evidence.pull.norm())
    known = torch.zeros(base.train.users, base.train.items, dtype=torch.bool)
    known[retained.user[retained.alive], retained.item[retained.alive]] = True
    assert named(pursue(evidence, len(rows), known)) == pairs(base, rows)


def test_the_last_interaction_of_an_item_is_found(base: Base) -> None:
    item = int(np.argmin(np.where(base.train.item_degree > 0, base.train.item_degree, 10**6)))
    rows = base.train.rows_of_item(item).tolist()
    before_last, older = without(base, rows[1:])
    before_last.delete(np.array(rows[:1]))
    theta = older.clone()
    theta[base.train.users + item] = 0
    newer = stationary(before_last, base.config, theta, base.stationary)
    evidence = from_versions(older, newer, base.train.users, base.config)
    assert bool(evidence.emptied[base.train.users + item])
    assert named(pursue(evidence, 1)) == pairs(base, rows[:1])


def test_no_pair_is_named_twice_and_no_excluded_one_at_all(base: Base) -> None:
    rows = list(range(0, 4800, 80))
    _, after = without(base, rows)
    evidence = from_versions(base.theta, after, base.train.users, base.config)
    excluded = torch.zeros(base.train.users, base.train.items, dtype=torch.bool)
    excluded[:, ::2] = True
    found = pursue(evidence, 60, excluded)
    assert len(named(found)) == 60
    assert all(item % 2 for _, item in named(found))


def test_the_naive_attack_names_the_scores_that_changed_most(base: Base) -> None:
    after = base.theta.clone()
    after[3] += 0.1 * base.theta[base.train.users + 7] / base.theta[base.train.users + 7].norm()
    ((user, _),) = by_score(base.theta, after, base.train.users, 1).tolist()
    assert user == 3


def test_small_batches_are_tried_often() -> None:
    assert [repeats(size) for size in (1, 10, 1000)] == [20, 10, 2]


def test_every_way_to_a_version_is_attacked(attacks: list[Measured]) -> None:
    assert {attack.seen for attack in attacks} == set(SEEN)
    assert all(attack.found > 100 * attack.chance for attack in attacks)
    assert all(attack.found == 1 for attack in attacks if attack.seen == "data")


def test_the_pursuit_finds_more_than_the_change_of_the_scores(attacks: list[Measured]) -> None:
    assert all(attack.found > 2 * attack.by_score for attack in attacks if attack.by_score is not None)


def test_small_batches_betray_more_than_large_ones(attacks: list[Measured]) -> None:
    small, large = (
        [attack.found for attack in attacks if (attack.batch, attack.seen) == (size, "update")] for size in (20, 60)
    )
    assert min(small) > max(large)


def test_the_attacks_are_told_in_a_table_and_drawn(attacks: list[Measured], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    text = markdown(attacks)
    assert "| deleted together | 20 | 60 |" in text
    assert "| batches | 5 | 2 |" in text
    draw(attacks, "title").savefig(tmp_path / "reconstruction.png")
    assert (tmp_path / "reconstruction.png").read_bytes().startswith(b"\x89PNG")
