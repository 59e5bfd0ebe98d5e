"""iALS: its objective is that of the package `implicit`, written out here, and its optimum the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from ifru.interactions import Dataset
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models import model_of
from ifru.models.ials import IALSConfig
from ifru.training import train
from ifru.training.newton import Plan, initial, minimise

CONFIG = IALSConfig(rank=8, l2=16.0, alpha=3.0)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return split(replace(generate(80, 60, 1_000, seed=2), value=None), LabelRule.parse("positive:0"), 0.2, seed=0)


@pytest.fixture(scope="module")
def theta(dataset: Dataset) -> NDArray[np.float64]:
    objective = model_of(CONFIG).objective(dataset.train, torch.device("cpu"), torch.float64)
    trained = minimise(objective, initial(objective, 0), Plan(tolerance=1e-10))
    assert trained.reason in ("stationary", "rounding")
    return np.asarray(trained.theta.numpy())


def confidence(dataset: Dataset) -> NDArray[np.float64]:
    """c of recorded pairs [U, I], zero elsewhere."""
    table = dataset.train
    found = np.zeros((table.users, table.items))
    found[table.user, table.item] = CONFIG.alpha
    return found


def swept(fixed: NDArray[np.float64], recorded: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hu, Koren and Volinsky's least squares for every row of one side, the other side's rows [n, K] fixed."""
    out = np.zeros((len(recorded), fixed.shape[1]))
    for row, c in enumerate(recorded):
        weights = np.where(c > 0, c, 1.0)
        normal = fixed.T @ (weights[:, None] * fixed) + CONFIG.l2 * np.eye(fixed.shape[1])
        out[row] = np.linalg.solve(normal, fixed.T @ c)
    return out


def test_the_objective_is_half_of_what_the_paper_writes(dataset: Dataset) -> None:
    table, random = dataset.train, np.random.default_rng(0)
    c = confidence(dataset)
    theta = random.normal(size=(table.users + table.items, CONFIG.rank)) * (table.degree > 0)[:, None]
    user, item = theta[: table.users], theta[table.users :]
    squares = np.where(c > 0, c, 1.0) * ((c > 0) - user @ item.T) ** 2
    expected = 0.5 * (squares.sum() + CONFIG.l2 * (theta**2).sum())
    objective = model_of(CONFIG).objective(table, torch.device("cpu"), torch.float64)
    assert objective.at(torch.from_numpy(theta)).value == pytest.approx(expected, rel=1e-12)


def test_the_optimum_is_a_fixed_point_of_alternating_least_squares(
    dataset: Dataset, theta: NDArray[np.float64]
) -> None:
    users, c = dataset.train.users, confidence(dataset)
    np.testing.assert_allclose(swept(theta[users:], c), theta[:users], atol=1e-7)
    np.testing.assert_allclose(swept(theta[:users], c.T), theta[users:], atol=1e-7)


def test_alternating_least_squares_from_elsewhere_ends_at_the_same_scores(
    dataset: Dataset, theta: NDArray[np.float64]
) -> None:
    users, c = dataset.train.users, confidence(dataset)
    item = np.random.default_rng(1).normal(size=(dataset.train.items, CONFIG.rank))
    for _ in range(400):
        user = swept(item, c)
        item = swept(user, c.T)
    np.testing.assert_allclose(user @ item.T, theta[:users] @ theta[users:].T, atol=1e-4)


def test_implicit_has_the_same_objective_and_ends_at_the_same_scores(
    dataset: Dataset, theta: NDArray[np.float64]
) -> None:
    als = pytest.importorskip("implicit.cpu.als")
    sparse = pytest.importorskip("scipy.sparse")
    users, c = dataset.train.users, sparse.csr_matrix(confidence(dataset) / CONFIG.alpha)
    theirs = als.AlternatingLeastSquares(
        factors=CONFIG.rank, regularization=CONFIG.l2, alpha=CONFIG.alpha, iterations=400, use_cg=False,
        dtype=np.float64, num_threads=1, random_state=0,
    )  # fmt: skip
    theirs.fit(c, show_progress=False)
    scores = theirs.user_factors @ theirs.item_factors.T
    np.testing.assert_allclose(scores, theta[:users] @ theta[users:].T, atol=1e-4)
    weighted = (CONFIG.alpha * c).tocsr()
    share = als.calculate_loss(weighted, theirs.user_factors, theirs.item_factors, CONFIG.l2, num_threads=1)
    whole = share * (weighted.sum() + c.shape[0] * c.shape[1] - c.nnz)
    objective = model_of(CONFIG).objective(dataset.train, torch.device("cpu"), torch.float64)
    rows = torch.from_numpy(np.concatenate([theirs.user_factors, theirs.item_factors]))
    assert objective.at(rows).value == pytest.approx(whole / 2, rel=1e-8)


def test_training_on_positives_alone_ends_at_a_proven_optimum(dataset: Dataset) -> None:
    trained = train(dataset, [CONFIG.model_copy(update={"rank": 4})], grow=True)
    assert trained.ready
    assert trained.auc is None
    assert trained.proof is not None
    assert trained.proof.relative_gap <= 1e-8


@pytest.mark.parametrize("wrong", [{"alpha": 0}, {"unobserved": -1}, {"penalty": "none"}, {"loss": "bce"}])
def test_what_makes_no_objective_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        IALSConfig.model_validate({"rank": 2, "l2": 1.0, **wrong})
