"""The attack: matching pursuit of the deleted pairs in what pulled at the rows.

A pair is as likely as it explains the pulls of both of its rows. The likeliest one is taken, what it explains is taken
out, and so on (Mallat and Zhang 1993). Labels are guessed along with the pairs.
Axes: U users, I items, K columns of a row; r rows of one side, c of the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.reconstruction.evidence import Evidence
from ifru.objective.losses import loss_of

LABELS = (0.0, 1.0)

_BACKGROUND = 0.3
"""Energy that counts as noise, as a share of the median row's: all rows move a little when some are pulled."""
_MISFIT = 0.05
"""The same, as a share of the row's own energy: its true block is not the typical one."""
_ROUNDING = 1e-9
"""Energy that counts as noise where pulls are exact, as a share of the mean row's."""


@dataclass(frozen=True)
class _Side:
    """The rows of one side, all in coordinates in which the typical block is the identity.

    pull [r, K]: what is still to be explained; changed in place. penalty [r, K]: λ times the own rows. other [c, K].
    exact: whether pulls are known with their size. noise: energy below which a pull means nothing.
    """

    pull: Tensor
    penalty: Tensor
    other: Tensor
    exact: bool
    noise: float

    @staticmethod
    def of(pull: Tensor, penalty: Tensor, other: Tensor, exact: bool, block: Tensor) -> _Side:
        factor = torch.linalg.cholesky(block)
        given = pull, penalty, other
        pull, penalty, other = (torch.linalg.solve_triangular(factor, x.T, upper=False).T for x in given)
        energy = pull.square().sum(1)
        noise = float(_ROUNDING * energy.mean() if exact else _BACKGROUND * energy.median())
        return _Side(pull.contiguous(), penalty, other, exact, noise + torch.finfo(pull.dtype).tiny)

    def gain(self, slope: Tensor, rows: slice = slice(None)) -> Tensor:
        """By how much a pair explains the pull of its row: log-likelihoods, for slopes ℓ' [..., r, c] of some rows."""
        pull, penalty = self.pull[rows], self.penalty[rows]
        energy = pull.square().sum(1, keepdim=True)
        along = slope * (pull @ self.other.T) + (pull * penalty).sum(1, keepdim=True)
        length = slope.square() * self.other.square().sum(1) + penalty.square().sum(1, keepdim=True)
        length = length + 2 * slope * (penalty @ self.other.T)
        if self.exact:
            explained, floor = 2 * along - length, torch.full_like(energy, self.noise)
        else:
            explained = along.clamp(min=0).square() / length.clamp(min=self.noise)
            floor = self.noise + _MISFIT * energy
        return torch.log((energy + floor) / ((energy - explained).clamp(min=0) + floor))

    def explain(self, row: int, other: int, slope: float) -> None:
        """Take out of a row's pull what a pair explains of it."""
        mark = slope * self.other[other] + self.penalty[row]
        self.pull[row] -= mark if self.exact else ((self.pull[row] @ mark) / (mark @ mark)).clamp(min=0) * mark


def pursue(evidence: Evidence, number: int, excluded: Tensor | None = None) -> Tensor:
    """The likeliest pairs [number, 2] of a user and an item, in the order in which they are found.

    excluded [U, I]: pairs that are known not to be among them.
    """
    users, theta = evidence.users, evidence.theta
    penalty = torch.where(evidence.emptied[:, None], 0.0, evidence.config.l2 * theta)
    (p, q), (of_p, of_q), (pull_p, pull_q) = ((x[:users], x[users:]) for x in (theta, penalty, evidence.pull))
    by_user = _Side.of(pull_p, of_p, q, evidence.exact, evidence.typical[0])
    by_item = _Side.of(pull_q, of_q, p, evidence.exact, evidence.typical[1])
    score = p @ q.T
    loss = loss_of(evidence.config.loss)
    slope = torch.stack([loss.slope(score, torch.full_like(score, label)) for label in LABELS])
    gains = by_user.gain(slope), by_item.gain(slope.mT).mT.contiguous()
    likely = gains[0] + gains[1]
    closed = torch.zeros_like(score, dtype=torch.bool) if excluded is None else excluded.clone()
    likely.masked_fill_(closed, -torch.inf)
    found = torch.empty(number, 2, dtype=torch.int64)
    for place in range(number):
        label, user, item = (int(x) for x in torch.unravel_index(likely.argmax(), likely.shape))
        found[place] = torch.tensor([user, item])
        closed[user, item] = True
        of = float(slope[label, user, item])
        by_user.explain(user, item, of)
        by_item.explain(item, user, of)
        gains[0][:, user : user + 1] = by_user.gain(slope[:, user : user + 1], slice(user, user + 1))
        gains[1][:, :, item] = by_item.gain(slope[:, :, item : item + 1].mT, slice(item, item + 1))[:, 0]
        for changed in ((slice(None), user), (slice(None), slice(None), item)):
            likely[changed] = (gains[0][changed] + gains[1][changed]).masked_fill(closed[changed[1:]], -torch.inf)
    return found


def by_score(before: Tensor, after: Tensor, users: int, number: int) -> Tensor:
    """The naive attack: the pairs [number, 2] whose scores changed most between two tables."""
    change = after[:users].double() @ after[users:].double().T - before[:users].double() @ before[users:].double().T
    place = change.abs().flatten().topk(number).indices
    return torch.stack(torch.unravel_index(place, change.shape), 1)
