"""The quadratic that IFRU minimises: ½pᵀHp − gᵀp on the k-hop neighbourhood of what is deleted.

H is the Hessian of the mean loss over the training rows before the deletion, at the trained model; g the gradient of
the summed loss over the deleted rows. Both have the penalty in them that the model was trained with.

Axes: R rows, S rows of the support, K columns of a row.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.base import CPU
from benchmarks.cases import Case
from ifru.models import model_of

Product = Callable[[Tensor], Tensor]
"""H_SS p [S, K] of p [S, K]."""


def neighbourhood(case: Case, hops: int) -> Tensor:
    """Rows [S], ascending, that are reached from the deleted interactions' rows in some hops, themselves included."""
    train = case.base.train
    user, item = train.user[train.alive], train.item[train.alive]
    users, items = np.zeros(train.users, dtype=bool), np.zeros(train.items, dtype=bool)
    users[train.user[case.deletion.train]] = True
    items[train.item[case.deletion.train]] = True
    for _ in range(hops):
        reached = users[user], items[item]
        items[item[reached[0]]] = True
        users[user[reached[1]]] = True
    return torch.from_numpy(np.flatnonzero(np.concatenate([users, items])))


def goal(case: Case, support: Tensor) -> Tensor:
    """g [S, K]."""
    theta = case.base.theta.float()
    table = case.base.train.copy()
    objective = model_of(case.base.config).objective(table, CPU, torch.float32)
    table.delete(case.deletion.train)
    change = objective.remove(objective.at(theta), case.deletion.train)
    return torch.zeros_like(theta).index_copy(0, change.rows, -change.direct)[support]


def compiled(case: Case, support: Tensor) -> Product:
    """Products by this project's compiled loops: the same numbers as the published ones, sooner."""
    base = case.base
    objective = model_of(base.config).objective(base.train, CPU, torch.float32)
    point = objective.at(base.theta.float())
    along = torch.zeros_like(point.theta)

    def product(p: Tensor) -> Tensor:
        along[support] = p
        product: Tensor = point.product(along)[support] / base.train.retained
        return product

    return product


def differentiated(case: Case, support: Tensor) -> Product:
    """Products as published: the gradient is kept with its graph and differentiated along p."""
    train, l2, alive = case.base.train, case.base.config.l2, case.base.train.alive
    user = torch.from_numpy(train.user[alive].astype(np.int64))
    item = torch.from_numpy(train.item[alive].astype(np.int64)) + train.users
    label = torch.from_numpy(train.label[alive])
    theta = case.base.theta.float()
    moving = theta[support].requires_grad_()
    whole = theta.index_put((support,), moving)
    of_user, of_item = whole[user], whole[item]
    loss = binary_cross_entropy_with_logits((of_user * of_item).sum(1), label)
    loss = loss + 0.5 * l2 * (of_user.square().sum() + of_item.square().sum()) / len(label)
    (gradient,) = torch.autograd.grad(loss, moving, create_graph=True)

    def product(p: Tensor) -> Tensor:
        (image,) = torch.autograd.grad((gradient * p).sum(), moving, retain_graph=True)
        return image

    return product
