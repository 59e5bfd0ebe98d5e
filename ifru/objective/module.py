"""Scores by a module with shared weights: a debt, and the linear system of the response to it.

Such a model is trained as practised, so ∇L is not zero where it stands. What counts is the debt g = ∇L(θ) − o, with a
constant o: what deletions have added and updates have not paid off. An update solves (Bae et al. 2022,
arXiv 2209.05364)

    (Jᵀ diag(w·ℓ'') J + (1 + damping)·ridge) x = −g        J = ∂scores/∂θ at the base

which is positive definite whatever the module, and leaves the residual of this system as the debt: o is set anew so.
The base is where the last deletion found θ. Points on the way of one solve share it.

Training that stops early has moved θ by an interaction's derivatives all along its way, not by those at its end, which
are next to nothing where the score came to fit (Bae et al. 2024, arXiv 2405.12186). So what a deletion adds to the debt
is the mean loss derivative on the way of the score, from the best score that all interactions can share to its own:

    −w·(ℓ(s) − ℓ(s₀))/(s − s₀)·∂s/∂θ        ℓ'(s₀, mean label) = 0

Axes as in `ifru.objective.protocol`; G shared weights, n interactions of a chunk, Fu and Fi features. θ [R, K] ends
with the shared weights as padded rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Self, cast

import numpy as np
import torch
from torch import Tensor

from ifru.errors import DataError
from ifru.interactions import Interactions
from ifru.interactions.table import Int64
from ifru.objective.losses import Loss, mean_slope
from ifru.objective.module_score import ModuleScore
from ifru.objective.parameters import Layout
from ifru.objective.protocol import Capabilities, GradientChange, Linearised

_CHUNK = 1 << 14
"""Interactions at a time."""

_BENDS = 2.0
"""L may bend so many times as much as the quadratic model along a step."""

_JACOBIAN_BYTES = 1 << 26
"""Bound on derivatives by the shared weights that are held at a time."""


@dataclass(frozen=True)
class Penalty:
    """(l2/2)(‖p_u‖² + ‖q_i‖²) per interaction, (shared_l2/2)‖G‖², which is zero where shared weights stay as they are.

    damping: share of all that is added to the curvature.
    """

    l2: float
    shared_l2: float
    damping: float


class ModuleObjective:
    """`Responding`. ridge [R]: the damped one, of the system; decay [R]: that of L itself; both 0 for frozen rows."""

    capabilities = Capabilities(response=True)

    def __init__(
        self,
        score: ModuleScore,
        layout: Layout,
        loss: Loss,
        penalty: Penalty,
        interactions: Interactions,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.score, self.layout, self.loss, self.interactions = score, layout, loss, interactions
        self.device, self.dtype, self.penalty = device, dtype, penalty
        self.l2 = (1 + penalty.damping) * penalty.l2
        self.entities = interactions.users + interactions.items
        self.frozen = penalty.shared_l2 == 0
        self.user = torch.from_numpy(interactions.user).to(device)
        self.item = torch.from_numpy(interactions.incidence.far[: len(interactions)]).to(device)
        self.label = torch.tensor(interactions.label, device=device, dtype=dtype)
        self.weight = torch.from_numpy(interactions.weight * interactions.alive).to(device, dtype)
        self._labelled = self._weighed()
        self.features = {
            side: torch.tensor(known, device=device, dtype=dtype) for side, known in interactions.features.items()
        }
        degree = torch.from_numpy(interactions.degree).to(device, dtype)
        self.decay = torch.cat([penalty.l2 * degree, degree.new_full((_shared_rows(layout),), penalty.shared_l2)])
        self.ridge = (1 + penalty.damping) * self.decay

    def at(self, theta: Tensor) -> ModulePoint:
        return ModulePoint(self, theta, theta)

    def owing(self, theta: Tensor, debt: Tensor) -> ModulePoint:
        """Raises DataError where the module cannot score the interactions at θ."""
        return ModulePoint(self, theta, theta, debt, self.value(theta))

    def serving(self, theta: Tensor) -> Tensor:
        return theta

    def remove(self, point: Linearised, interactions: Int64) -> GradientChange:
        """The point afterwards is linearised where it stands. `rows`: the deleted ones' ends, and all shared rows."""
        if not isinstance(point, ModulePoint):
            raise TypeError(f"a point of {type(self).__name__} is needed, not {type(point).__name__}")
        listed = torch.from_numpy(interactions).to(self.device)
        theta, gradient = point.theta, point.gradient
        removed = self.data_gradient(theta, listed, partial(mean_slope, self.loss, self._shared_score()))
        self._labelled -= self._weighed(listed)
        ends = torch.cat([self.user[listed], self.item[listed]]).long()
        removed.index_add_(0, ends, self.penalty.l2 * theta[ends])
        self.weight[listed] = 0
        rows = torch.unique(ends)
        degree = torch.from_numpy(self.interactions.degree[rows.cpu().numpy()]).to(self.decay)
        self.decay[rows] = self.penalty.l2 * degree
        self.ridge[rows] = (1 + self.penalty.damping) * self.decay[rows]
        gradient -= removed
        emptied = rows[degree == 0]
        gradient[emptied] = 0
        for side, first in (("user", 0), ("item", self.interactions.users)):
            if (known := self.features.get(side)) is not None:
                known[emptied[(emptied >= first) & (emptied < first + len(known))] - first] = 0
        if len(listed) > 0 and not self.frozen:
            rows = torch.cat([rows, torch.arange(self.entities, len(theta), device=self.device)])
        return GradientChange(rows, -removed[rows], None, ModulePoint(self, theta, theta, gradient, point.value))

    def relabel(self, interactions: Int64) -> bool:
        listed = torch.from_numpy(interactions).to(self.device)
        self.label[listed] = torch.from_numpy(self.interactions.label[interactions]).to(self.label)
        self._labelled = self._weighed()
        return False

    def value(self, theta: Tensor) -> float:
        """L, summed in float64. Raises DataError for scores that are not finite."""
        shared, data, bad = self.shared(theta), 0.0, 0
        for part in self.chunks():
            score = self.scores(part, *self.ends(theta, part), shared)
            bad += int((~score.isfinite()).sum())
            data += float((self.weight[part] * self.loss.value(score, self.label[part])).double().sum())
        if bad:
            raise DataError(
                f"{self.score.name} scores {bad:,} of {self.interactions.retained:,} interactions by what is no finite "
                "number; look for divisions, logarithms and square roots in it, and for weights that are not finite"
            )
        return data + float((self.decay.double() * theta.double().square().sum(1)).sum() / 2)

    def gradient(self, theta: Tensor) -> Tensor:
        """∇L [R, K]."""
        return self.data_gradient(theta) + self.decay[:, None] * theta

    def scores(self, part: Tensor, user: Tensor, item: Tensor, shared: Mapping[str, Tensor]) -> Tensor:
        """s [n] of rows [n, K] of some interactions."""
        return self.score(user, item, shared, *self.features_of(part))

    def features_of(self, part: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Features [n, Fu] and [n, Fi] of the ends of interactions, where there are any."""
        of_user, of_item = self.features.get("user"), self.features.get("item")
        return (
            None if of_user is None else of_user[self.user[part]],
            None if of_item is None else of_item[self.item[part] - self.interactions.users],
        )

    def ends(self, theta: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
        """User rows and item rows [n, K]."""
        return theta[self.user[part]], theta[self.item[part]]

    def shared(self, theta: Tensor) -> dict[str, Tensor]:
        """Name -> shared tensor, views into θ."""
        return dict(self.layout.parameters(theta).shared)

    def chunks(self, listed: Tensor | None = None, size: int = _CHUNK) -> Iterator[Tensor]:
        """Positions [n] of retained interactions, or of listed ones, a chunk at a time."""
        return iter(torch.split(self.weight.nonzero()[:, 0] if listed is None else listed, size))

    def data_gradient(
        self,
        theta: Tensor,
        listed: Tensor | None = None,
        slope: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Σ w·ℓ'·∂s/∂θ [R, K] of retained interactions, or of listed ones; another slope(s, y) may stand for ℓ'."""
        slope = slope or self.loss.slope
        out, shared = torch.zeros_like(theta), self.shared(theta)
        of_shared = {name: torch.zeros_like(tensor) for name, tensor in shared.items()}
        for part in self.chunks(listed):
            score, pull = _pullback(partial(self.scores, part), *self.ends(theta, part), shared)
            self._add(out, of_shared, part, pull(self.weight[part] * slope(score, self.label[part])))
        return self.with_shared(out, of_shared)

    def curved(self, base: Tensor, x: Tensor) -> Tensor:
        """Jᵀ diag(w·ℓ'') J x [R, K], J at the base."""
        out, shared = torch.zeros_like(x), self.shared(base)
        along = self.shared(torch.zeros_like(x) if self.frozen else x)
        of_shared = {name: torch.zeros_like(tensor) for name, tensor in shared.items()}
        for part in self.chunks():
            at, scored = (*self.ends(base, part), shared), partial(self.scores, part)
            tangent = torch.func.jvp(scored, at, (*self.ends(x, part), along))[1]
            score, pull = _pullback(scored, *at)
            self._add(out, of_shared, part, pull(self.curvature(score, part) * tangent))
        return self.with_shared(out, of_shared)

    def curvature(self, score: Tensor, part: Tensor) -> Tensor:
        """w·ℓ'' [n]."""
        return self.weight[part] * self.loss.curvature(score, self.label[part])

    def row_jacobians(self, theta: Tensor, part: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """∂s/∂p and ∂s/∂q [n, K], and w·ℓ'' [n], of a chunk."""
        scored = partial(self.scores, part, shared=self.shared(theta))
        score, pull = _pullback(scored, *self.ends(theta, part))
        of_user, of_item, _ = pull(torch.ones_like(score))
        return of_user, of_item, self.curvature(score, part)

    def with_shared(self, out: Tensor, of_shared: Mapping[str, Tensor]) -> Tensor:
        """out [R, K] with what shared weights have; nothing where these are frozen."""
        if not self.frozen:
            for name, tensor in self.layout.parameters(out).shared.items():
                tensor.copy_(of_shared[name])
        return out

    def _weighed(self, listed: Tensor | slice = slice(None)) -> Tensor:
        """Σw and Σw·y [2] of retained interactions, or of listed ones, in float64."""
        weight = self.weight[listed].double()
        return torch.stack([weight.sum(), (weight * self.label[listed]).sum()])

    def _shared_score(self) -> Tensor:
        """The best score that all retained interactions can share."""
        weight, labelled = self._labelled
        return self.loss.link((labelled / weight).nan_to_num().to(self.dtype))

    def _add(
        self,
        out: Tensor,
        of_shared: Mapping[str, Tensor],
        part: Tensor,
        pulled: tuple[Tensor, Tensor, Mapping[str, Tensor]],
    ) -> None:
        of_user, of_item, more = pulled
        out.index_add_(0, self.user[part], of_user)
        out.index_add_(0, self.item[part], of_item)
        for name, tensor in of_shared.items():
            tensor.add_(more[name])


@dataclass(frozen=True)
class _Start:
    """L and ∇L [R, K] at a base, and the debt [R, K] that a solve began with."""

    value: float
    slope: Tensor
    debt: Tensor


class ModulePoint:
    """`Linearised` at θ. base: where the system is made; gradient: the debt, or at a point of its own ∇L."""

    def __init__(
        self,
        objective: ModuleObjective,
        theta: Tensor,
        base: Tensor,
        debt: Tensor | None = None,
        value: float | None = None,
    ) -> None:
        self.objective, self.theta, self.base = objective, theta, base
        self._debt, self._value = debt, value
        self._start: _Start | None = None
        self._excess = 0.0

    @property
    def gradient(self) -> Tensor:
        if self._debt is None:
            self._debt = self.objective.gradient(self.theta)
        return self._debt

    @property
    def value(self) -> float:
        if self._value is None:
            self._value = self.objective.value(self.theta)
        return self._value

    def linear(self) -> Self:
        return self

    def product(self, x: Tensor) -> Tensor:
        return self.objective.curved(self.base, x).addcmul_(self.objective.ridge[:, None], x)

    def advance(self, x: Tensor) -> tuple[Self, float]:
        """Gradient and change are those of the quadratic model: L has no say in a response, but on how far it holds.

        What L itself bends more than twice what the model does is added to the change: a step that long says nothing
        of the response, and a trust region shortens it.
        """
        image = self.product(x)
        change = float((x.double() * (self.gradient.double() + image.double() / 2)).sum())
        new = type(self)(self.objective, self.theta + x, self.base, self.gradient + image, self.value + change)
        new._start = start = self._begun() if self._start is None else self._start
        new._excess = new._bent(start)
        return new, change + new._excess - self._excess

    def _begun(self) -> _Start:
        return _Start(self.objective.value(self.base), self.objective.gradient(self.base), self.gradient)

    def _bent(self, start: _Start) -> float:
        """By how much L bends more between the base and here than the model allows for."""
        moved = (self.theta - self.base).double()
        bent = self.objective.value(self.theta) - start.value - float((moved * start.slope.double()).sum())
        modelled = float((moved * (self.gradient - start.debt).double()).sum()) / 2
        return max(bent - _BENDS * modelled, 0.0)

    def blocks(self, rows: Tensor) -> Tensor:
        """Of rows [S] of users and items."""
        objective = self.objective
        place = torch.full((objective.entities,), -1, device=objective.device)
        place[rows] = torch.arange(len(rows), device=objective.device)
        out = torch.diag_embed(objective.ridge[rows, None].expand(-1, self.theta.shape[1])).contiguous()
        found = objective.interactions.incidence.of(rows.cpu().numpy())
        incident = torch.from_numpy(objective.interactions.kept(np.unique(found))).to(objective.device)
        for part in objective.chunks(incident):
            of_user, of_item, second = objective.row_jacobians(self.base, part)
            for jacobian, row in ((of_user, objective.user[part]), (of_item, objective.item[part])):
                inside = place[row] >= 0
                vectors = jacobian[inside]
                scaled = second[inside, None] * vectors
                out.index_add_(0, place[row[inside]], scaled[:, :, None] * vectors[:, None, :])
        return out

    def factors(self, of_users: Int64, of_items: Int64) -> Tensor:
        """√(w·ℓ'')·J [M, K]."""
        listed, place = np.unique(np.concatenate([of_users, of_items]), return_inverse=True)
        sides: list[list[Tensor]] = [[], []]
        for part in self.objective.chunks(torch.from_numpy(listed).to(self.objective.device)):
            *jacobians, second = self.objective.row_jacobians(self.base, part)
            for side, jacobian in zip(sides, jacobians, strict=True):
                side.append(second.sqrt()[:, None] * jacobian)
        if not sides[0]:
            return self.theta.new_empty(0, self.theta.shape[1])
        at = torch.from_numpy(place).to(self.objective.device)
        return torch.cat([torch.cat(sides[0])[at[: len(of_users)]], torch.cat(sides[1])[at[len(of_users) :]]])

    def shared_factors(self, interactions: Tensor) -> Iterator[Tensor]:
        """√(w·ℓ'')·∂s/∂G [n, G] of listed interactions [M] as they are at this call, a chunk at a time."""
        objective = self.objective
        shared = objective.shared(self.base)
        weight, label = objective.weight[interactions], objective.label[interactions]
        given = (*objective.ends(self.base, interactions), *objective.features_of(interactions))

        def single(shared: dict[str, Tensor], *pair: Tensor | None) -> tuple[Tensor, Tensor]:
            user, item, *features = (each if each is None else each[None] for each in pair)
            score = objective.score(cast("Tensor", user), cast("Tensor", item), shared, *features)[0]
            return score, score

        per_pair = torch.func.vmap(
            torch.func.grad(single, has_aux=True), (None, *(None if each is None else 0 for each in given))
        )

        def factors(part: slice) -> Tensor:
            jacobian, score = per_pair(shared, *(each if each is None else each[part] for each in given))
            flat = torch.cat([jacobian[name].reshape(len(score), -1) for name in shared], 1)
            return (weight[part] * objective.loss.curvature(score, label[part])).sqrt()[:, None] * flat

        row_bytes = sum(tensor.numel() for tensor in shared.values()) * self.theta.element_size()
        size = max(min(_JACOBIAN_BYTES // row_bytes, _CHUNK), 1)
        return (factors(slice(first, first + size)) for first in range(0, len(interactions), size))


def _pullback(
    scored: Callable[..., Tensor], user: Tensor, item: Tensor, shared: Mapping[str, Tensor] | None = None
) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor, Mapping[str, Tensor]]]]:
    """Scores [n], and what weights [n] of their derivatives lead back to, once: rows [n, K], and shared where given.

    As `torch.func.vjp`, which takes longer to set up than the derivatives of a hundred interactions take.
    """
    names = list(shared or {})
    free = [each.detach().requires_grad_() for each in (user, item, *(shared or {}).values())]
    rows, of_shared = free[:2], dict(zip(names, free[2:], strict=True))
    with torch.enable_grad():
        score = scored(*rows) if shared is None else scored(*rows, of_shared)

    def pull(weights: Tensor) -> tuple[Tensor, Tensor, Mapping[str, Tensor]]:
        if score.requires_grad:
            found = torch.autograd.grad(score, free, weights, materialize_grads=True)
        else:
            # A module that scores by a constant: autograd does not follow it.
            found = tuple(torch.zeros_like(each) for each in free)
        return found[0], found[1], dict(zip(names, found[2:], strict=True))

    return score.detach(), pull


def _shared_rows(layout: Layout) -> int:
    """R - U - I."""
    return sum(-(-prod(shape) // layout.width) for shape in layout.shared.values())
