"""A user's own module: an MLP on the two rows beside their product, and on features where there are any."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTH = 4
FEATURES = 2


class Scored(nn.Module):
    """features: columns of features of each side."""

    def __init__(self, features: int = 0, hidden: int = 5) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * (WIDTH + features), hidden)
        self.out = nn.Linear(hidden, 1)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, user: Tensor, item: Tensor, of_user: Tensor | None, of_item: Tensor | None) -> Tensor:
        known = [each for each in (user, item, of_user, of_item) if each is not None]
        bent = self.out(torch.tanh(self.hidden(torch.cat(known, 1))))[:, 0]
        return bent + self.scale * (user * item).sum(1)


def make() -> nn.Module:
    torch.manual_seed(0)
    return Scored()


def with_features() -> nn.Module:
    torch.manual_seed(0)
    return Scored(FEATURES)


def large() -> nn.Module:
    """More shared weights than a dense block is made for."""
    torch.manual_seed(0)
    return Scored(hidden=500)


class Wide(nn.Module):
    """Scores of a wrong shape."""

    def forward(self, user: Tensor, item: Tensor, of_user: Tensor | None, of_item: Tensor | None) -> Tensor:
        return user * item


class Constant(nn.Module):
    """Scores that say nothing."""

    def forward(self, user: Tensor, item: Tensor, of_user: Tensor | None, of_item: Tensor | None) -> Tensor:
        return torch.zeros(len(user), dtype=user.dtype)


class Logarithm(nn.Module):
    """Scores that are no numbers."""

    def forward(self, user: Tensor, item: Tensor, of_user: Tensor | None, of_item: Tensor | None) -> Tensor:
        return torch.log(-(user * item).square().sum(1) - 1)


class Normalised(Scored):
    """Scores that depend on other pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(WIDTH)


def broken() -> nn.Module:
    raise ValueError("there are no weights")


NO_FACTORY = 3
