"""What a proof sees of the data: the retained interactions, in float64.

Axes: N retained interactions in the order of their table (by user, then item), U users, I items, R = U + I rows;
M more pairs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ifru.interactions.table import Interactions
from ifru.objective.losses import Loss
from ifru.proof.errors import ProofError
from ifru.proof.sparse import Places, SparseMatrix


@dataclass(frozen=True)
class Retained:
    """user, item, label, weight [N]; by_item [N]: positions ordered by item, then user; degrees [U], [I].

    lowest, highest [N]: the range of w·ℓ'(s, y) over all scores s, which is where dual points live.
    additions: roundings that values have been through on the way from a dual point to an interaction.
    """

    user: Tensor
    item: Tensor
    label: Tensor
    weight: Tensor
    by_item: Tensor
    user_degree: Tensor
    item_degree: Tensor
    lowest: Tensor
    highest: Tensor
    additions: int

    def __len__(self) -> int:
        return len(self.user)

    @property
    def degree(self) -> Tensor:
        """D [R]: users first, then items."""
        return torch.cat([self.user_degree, self.item_degree])

    @property
    def users(self) -> int:
        return len(self.user_degree)

    @property
    def shape(self) -> tuple[int, int]:
        """U, I."""
        return len(self.user_degree), len(self.item_degree)

    def matrix(self, value: Tensor, chosen: Tensor | None = None) -> SparseMatrix:
        """The matrix [U, I] with value [N] at the interactions' places, or [M] at those of the chosen ones [N]."""
        matrix = (self._places if chosen is None else self._places_of(chosen)).matrix(value)
        return replace(matrix, operations=matrix.operations + self.additions)

    @cached_property
    def _places(self) -> Places:
        return Places.of(self.user, self.item, self.by_item, self.shape)

    def _places_of(self, chosen: Tensor) -> Places:
        place = chosen.cumsum(0) - 1
        by_item = place[self.by_item[chosen[self.by_item]]]
        return Places.of(self.user[chosen], self.item[chosen], by_item, self.shape)

    @staticmethod
    def of(interactions: Interactions, loss: Loss, alpha: float = 1.0) -> Retained:
        """alpha: what weights are multiplied by.

        Raises ProofError where a weight is negative, or where the objective has no lower bound.
        """
        alive = interactions.alive
        place = np.cumsum(alive) - 1
        label = torch.from_numpy(interactions.label[alive]).double()
        weight = alpha * torch.from_numpy(interactions.weight[alive]).double()
        if not bool(((weight >= 0) & weight.isfinite() & label.isfinite()).all()):
            raise ProofError(
                "a retained interaction has a negative weight, or a weight or label that is not finite; "
                "allowed are finite labels and finite weights from 0 on, without which the objective is not convex"
            )
        far = torch.full_like(label, torch.inf)
        lowest, highest = weight * loss.slope(-far, label), weight * loss.slope(far, label)
        lowest, highest = lowest.nan_to_num(nan=0.0), highest.nan_to_num(nan=0.0)
        if not bool(((lowest <= 0) & (highest >= 0)).all()):
            raise ProofError(
                f"a retained label lies outside the range of the {loss.name} loss (labels are between "
                f"{float(label.min())} and {float(label.max())}), so the objective has no lower bound; "
                "use labels in the loss's range or another loss"
            )
        return Retained(
            user=torch.from_numpy(interactions.user[alive]).long(),
            item=torch.from_numpy(interactions.item[alive]).long(),
            label=label,
            weight=weight,
            by_item=torch.from_numpy(place[interactions.kept(interactions.incidence.order[len(alive) :])]),
            user_degree=torch.from_numpy(interactions.user_degree).double(),
            item_degree=torch.from_numpy(interactions.item_degree).double(),
            lowest=lowest,
            highest=highest,
            additions=0,
        )

    def joined(self, user: Tensor, item: Tensor) -> tuple[Retained, Tensor]:
        """With places for more pairs [M], of weight zero, that count in no degree.

        Also where everything stands then [N + M], the interactions first.
        """
        users, items = torch.cat([self.user, user]), torch.cat([self.item, item])
        order = torch.argsort(users * self.shape[1] + items, stable=True)
        nothing = self.label.new_zeros(len(user))
        columns = (
            torch.cat([column, nothing])[order] for column in (self.label, self.weight, self.lowest, self.highest)
        )
        label, weight, lowest, highest = columns
        joined = replace(
            self,
            user=users[order],
            item=items[order],
            label=label,
            weight=weight,
            by_item=torch.argsort(items[order], stable=True),
            lowest=lowest,
            highest=highest,
        )
        return joined, torch.argsort(order)

    def fingerprint(self) -> str:
        """SHA-256 of the retained rows, their order included: equal for equal data, whatever table they stand in."""
        digest = hashlib.sha256(np.array([len(self.user_degree), len(self.item_degree)], dtype="<i8").tobytes())
        for column in (self.user, self.item):
            digest.update(column.numpy().astype("<i4").tobytes())
        for values in (self.label, self.weight):
            digest.update(values.numpy().astype("<f4").tobytes())
        return digest.hexdigest()
