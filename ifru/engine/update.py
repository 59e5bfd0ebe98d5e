"""What the engine answers."""

from __future__ import annotations

from dataclasses import dataclass

from ifru.interactions import Deletion
from ifru.objective.parameters import ParameterUpdate
from ifru.solvers.reason import Reason


@dataclass(frozen=True)
class Carried:
    """What the next engine on the same model has to know, and the debt alone does not tell: sums of squared decrements.

    batch: of the debt when the newest batch had been added. added: of all that batches have added since the last full
    retrain. Documents and manifests call them energies.
    """

    batch: float = 0.0
    added: float = 0.0


NOTHING_CARRIED = Carried()
"""What an engine starts with on a model fresh from training."""


@dataclass(frozen=True)
class Update:
    """One influence update: what it deleted, which parameters it set to which values, and how far it got.

    influence: the residual influence; where a push was asked for it is predicted, and `Settled` is exact.
    method, reason: which support was used, and why the solve ended there.
    iterations: products with the Hessian. interactions_read: interactions visited, once per product.
    seconds: by stage: "settle" what moves leave behind, "debt" the deletion, "choose" the rows of a support, "solve".
    """

    deletion: Deletion
    parameters: ParameterUpdate
    influence: float
    method: str
    reason: Reason
    iterations: int
    interactions_read: int
    seconds: dict[str, float]


@dataclass(frozen=True)
class Settled:
    """The debt, made exact after an update.

    influence: √(energy of the debt / its energy when the batch had been added).
    total: √(energy of the debt / all energy that batches have added since the last full retrain).
    interactions_read: interactions visited in order to know.
    """

    influence: float
    total: float
    interactions_read: int
