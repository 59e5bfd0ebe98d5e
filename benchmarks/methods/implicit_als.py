"""Retraining iALS as practised: some iterations of alternating least squares by the package `implicit`, from scratch.

Axes: R rows, K columns of a row.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numba import get_num_threads
from torch import Tensor

from benchmarks.cases import Case
from benchmarks.methods.protocol import Budget, Point
from ifru.errors import IfruError
from ifru.interactions import Interactions
from ifru.models.ials import IALSConfig

ITERATIONS = 15
"""What `implicit` does by default."""


def run(case: Case, budget: Budget) -> Iterator[Point]:
    """One point: the model that `implicit` ends at by default; none where it is not installed."""
    config = case.base.config
    if not (installed() and isinstance(config, IALSConfig)):
        return
    matrix, start = confidences(case.retained), budget.clock()
    theta = fitted(matrix, config, ITERATIONS)
    seconds = budget.clock() - start
    yield Point(seconds, theta, "implicit", f"{ITERATIONS} iterations")


def installed() -> bool:
    """Whether `implicit` can be imported."""
    return find_spec("implicit") is not None


def confidences(table: Interactions) -> Any:
    """The sparse matrix [U, I] that `implicit` takes: weights of retained interactions."""
    kept = np.flatnonzero(table.alive)
    sparse = import_module("scipy.sparse")
    shape = table.users, table.items
    return sparse.csr_matrix((table.weight[kept], (table.user[kept], table.item[kept])), shape=shape)


def fitted(matrix: Any, config: IALSConfig, iterations: int, seed: int = 0) -> Tensor:
    """θ [R, K] after so many iterations, on as many threads as compiled loops take.

    Raises IfruError for an objective that `implicit` does not have, and where it is not installed.
    """
    if config.unobserved != 1 or config.penalty != "plain":
        raise IfruError("implicit has the plain penalty and the weight 1 of unobserved pairs alone")
    if not installed():
        raise IfruError("implicit is not installed; install it with pip install implicit")
    # It warns of threads of its linear algebra that would compete with its own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    model = import_module("implicit.cpu.als").AlternatingLeastSquares(
        factors=config.rank,
        regularization=config.l2,
        alpha=config.alpha,
        iterations=iterations,
        num_threads=get_num_threads(),
        random_state=seed,
    )
    model.fit(matrix, show_progress=False)
    return torch.from_numpy(np.concatenate([model.user_factors, model.item_factors]))
