"""A request that is to be proven, and what is.

Axes: M pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ifru.evaluation.chosen_pairs import by_change, pair_scores
from ifru.models import ModelConfig
from ifru.objective.parameters import Parameters
from ifru.objective.tilted import ChosenPairs
from ifru.requests import Identity


@dataclass(frozen=True)
class Unproven:
    """A request, and the pairs that a version deleted for it from what the model was trained on.

    user, item [M] int64: their numbers. before [M]: their scores in the version before.
    """

    request: Identity
    user: Tensor
    item: Tensor
    before: Tensor

    def weighed(self, config: ModelConfig, serving: Parameters) -> tuple[ChosenPairs, float, float]:
        """Its pairs, each weighed by its share of the change up to the tables that serve; Σ c·s by these, and the
        length of the change."""
        pairs = ChosenPairs(self.user, self.item, torch.ones(len(self.user), dtype=torch.float64))
        now = pair_scores(config, serving, pairs)
        weighed = by_change(self.user, self.item, now, self.before)
        return weighed, float((weighed.weight * now).sum()), float((self.before - now).norm())


@dataclass(frozen=True)
class RequestProven:
    """What is proven of a request about a version: its scores are within `bound` of the exactly retrained model's,
    and the request has changed them by `change`. bound: None where nothing of worth is proven."""

    request: Identity
    version: int
    bound: float | None = None
    change: float = 0.0
