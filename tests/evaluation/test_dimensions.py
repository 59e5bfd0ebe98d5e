"""A dimension that a deletion makes the optimum need is found among those that a model has to spare."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ifru.evaluation.chosen_pairs import PairProver, pair_scores
from ifru.evaluation.tightened import tightened
from ifru.interactions import Dataset, Interactions
from ifru.models import MFConfig
from ifru.models.proving import prove
from ifru.objective.parameters import Parameters
from ifru.objective.tilted import ChosenPairs
from ifru.training import PROVEN, fit, polish
from tests.daemon.world import trained_dataset

CONFIG = MFConfig(rank=10, l2=0.2)


def saddle() -> tuple[Dataset, Parameters, Parameters]:
    """Data that lack some rows, a stationary point of two dimensions, and the optimum."""
    dataset = trained_dataset()
    theta = fit(dataset.train, CONFIG, seed=0, device=torch.device("cpu"), dtype=torch.float64).theta
    left, values, _ = torch.linalg.svd(theta, full_matrices=False)
    values[2:] = 1e-11
    dataset.train.delete(np.random.default_rng(1).choice(len(dataset.train), 20, replace=False))
    stuck = polish(dataset.train, CONFIG, (left * values).contiguous()).parameters
    beside = theta + 1e-3 * torch.randn(theta.shape, generator=torch.Generator().manual_seed(0), dtype=theta.dtype)
    return dataset, stuck, polish(dataset.train, CONFIG, beside).parameters


@pytest.fixture(scope="module")
def case() -> tuple[Interactions, Parameters, Parameters]:
    dataset, stuck, optimum = saddle()
    return dataset.train, stuck, optimum


def test_by_the_proof_of_a_version(case: tuple[Interactions, Parameters, Parameters]) -> None:
    train, stuck, optimum = case
    assert prove(stuck, train, CONFIG, random=torch.Generator()).relative_gap > PROVEN[torch.float64]
    dual = prove(optimum, train, CONFIG, random=torch.Generator()).dual
    least = prove(stuck, train, CONFIG, random=torch.Generator(), dual=dual).gap
    found = tightened(stuck, train, CONFIG, random=torch.Generator())
    assert found.proof.gap == pytest.approx(least, rel=0.05)
    assert not found.rank_limited


def test_by_the_proof_of_chosen_pairs(case: tuple[Interactions, Parameters, Parameters]) -> None:
    train, stuck, optimum = case
    user, item = torch.from_numpy(train.user[:5]).long(), torch.from_numpy(train.item[:5]).long()
    pairs = ChosenPairs(user, item, torch.full((5,), 0.2, dtype=torch.float64))
    truth, said = (float((pairs.weight * pair_scores(CONFIG, each, pairs)).sum()) for each in (optimum, stuck))
    found = PairProver(stuck, train, CONFIG).prove(pairs, torch.Generator())
    assert found.low <= truth <= found.high
    assert found.high - found.low < 0.05 * abs(said - truth)
