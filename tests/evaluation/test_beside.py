"""An update beside several retrains: what the figures mean."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ifru.errors import IfruError
from ifru.evaluation.beside import Beside, verify_beside
from ifru.evaluation.membership import calibrated, successes
from ifru.evaluation.verify import Published
from ifru.interactions import Dataset
from ifru.models.neumf import NeuMFConfig
from ifru.models.practice import Practice
from ifru.models.quality import holdout_auc
from ifru.objective.parameters import Parameters
from ifru.requests import Request, parse_request, resolve
from ifru.training import fit

CONFIG = NeuMFConfig(rank=8, l2=0.02, hidden=(8, 4), practice=Practice(batch=64, step=0.01, epochs=30))
CPU = torch.device("cpu")


def trained(dataset: Dataset, seed: int = 0) -> Parameters:
    return fit(dataset.train, CONFIG, seed=seed, device=CPU, dtype=torch.float32).parameters


def request(dataset: Dataset, count: int) -> Request:
    rows = np.random.default_rng(1).choice(len(dataset.train), count, replace=False)
    users, items = dataset.users, dataset.items
    named = [[users.name(int(dataset.train.user[z])), items.name(int(dataset.train.item[z]))] for z in rows]
    document = {"id": "r", "time": "2026-11-21T10:00:00Z", "type": "erase_interactions", "interactions": named}
    return parse_request(json.dumps(document))


def answer(parameters: Parameters) -> Published:
    return Published(parameters, "none", "nothing_to_move", 0, 1.0, 1.0, 1.0)


def beside(dataset: Dataset, parameters: Parameters, asked: Request, published: Published | None = None) -> Beside:
    return verify_beside(CONFIG, parameters, dataset, [asked], published=published, retrains=3)


def test_what_is_as_retraining_gives_it_is_called_so_and_what_was_left_as_it_is_is_not(dataset: Dataset) -> None:
    asked, parameters = request(dataset, 60), trained(dataset)
    left = dataset.copy()
    left.delete(resolve(asked, dataset))
    again = beside(dataset, parameters, asked, answer(trained(left, 7)))
    untouched = beside(dataset, parameters, asked, answer(parameters))
    assert again.within
    assert not untouched.within
    assert untouched.after == untouched.before
    assert untouched.before == again.before
    assert untouched.retrained == again.retrained
    assert len({each.forget.loss for each in again.retrained}) == 3
    assert all(each.forget.loss > again.before.forget.loss for each in again.retrained)
    assert again.deletions == 60
    assert again.before.holdout.auc == pytest.approx(holdout_auc(CONFIG, parameters, dataset), abs=1e-3)


def test_an_attack_finds_the_forgotten_where_nothing_was_done_and_does_not_in_retrained_models(
    dataset: Dataset,
) -> None:
    asked, parameters = request(dataset, 150), trained(dataset)
    found = beside(dataset, parameters, asked, answer(parameters))
    assert found.after.attack is not None
    for each in found.retrained:
        assert each.attack is not None
        assert each.attack.low <= each.attack.value <= each.attack.high
        assert each.attack.value < found.after.attack.value


def test_an_update_moves_the_loss_on_forgotten_pairs_towards_that_of_retraining(dataset: Dataset) -> None:
    found = beside(dataset, trained(dataset), request(dataset, 20))
    assert found.before.forget.loss is not None
    assert found.after.forget.loss is not None
    assert found.after.forget.loss > found.before.forget.loss
    assert found.products > 0


def test_without_held_out_rows_there_is_nothing_to_attack_with(dataset: Dataset) -> None:
    alone = dataset.copy()
    alone.holdout.delete(np.arange(len(alone.holdout)))
    parameters = trained(alone)
    found = beside(alone, parameters, request(alone, 20), answer(parameters))
    assert found.after.attack is None
    assert found.after.holdout.loss is None
    assert found.after.forget.loss is not None


def test_fewer_than_three_retrains_are_refused(dataset: Dataset) -> None:
    with pytest.raises(IfruError, match="--retrains is 2; allowed are numbers from 3 on"):
        verify_beside(CONFIG, trained(dataset), dataset, [request(dataset, 20)], retrains=2)


def test_models_without_a_practice_are_retrained_as_tuned(dataset: Dataset) -> None:
    config, parameters = CONFIG.model_copy(update={"practice": None}), trained(dataset)
    asked = request(dataset, 20)
    first, second = (
        verify_beside(config, parameters, dataset, [asked], published=answer(parameters)) for _ in range(2)
    )
    assert len(first.retrained) == 3
    assert first.retrained == second.retrained


def test_calibration_takes_off_what_models_know_that_never_saw_a_target() -> None:
    random = np.random.default_rng(0)
    hard = 5 * random.normal(size=400)
    member = np.arange(400) < 200
    never_saw = hard + 0.1 * random.normal(size=(3, 400))
    knows = hard + np.where(member, 1.0, 0.0) + 0.1 * random.normal(size=400)
    found = successes({"plain": knows, "calibrated": calibrated(knows, never_saw)}, member, "plain", random)
    assert found["plain"].caught.value < 0.2
    assert found["calibrated"].caught.value > 0.9
