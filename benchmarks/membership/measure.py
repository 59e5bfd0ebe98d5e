"""Three attackers on the model before, after, refined and retrained.

Axes: T targets, R rows, K columns of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from benchmarks.base import Base, scratch
from benchmarks.kept import Kept
from benchmarks.membership.attack import likelihood_ratio
from benchmarks.membership.pool import Pool, pooled
from benchmarks.membership.shadows import LOOSE, Setting, Shadows, forgetting, halves, informed
from ifru.evaluation.membership import Success, successes
from ifru.interactions.table import Bool
from ifru.models.quality import Float64
from ifru.training import Report

MODELS = {
    "before": "before the deletion",
    "loose": f"after updates at tolerance {LOOSE.tolerance:g}",
    "updated": "after the updates",
    "refined": "after refinement",
    "retrained": "retrained from scratch",
}

ATTACKERS = {
    "halves": "knows data of the same kind",
    "informed": "knows all other rows",
    "simulating": "knows all other rows, and simulates the deletion",
}


@dataclass(frozen=True, eq=False)
class Measured:
    """An attacker's success, by the attacked model; ratios [T] and member [T] are what it comes from."""

    attacker: str
    successes: dict[str, Success]
    ratios: dict[str, Float64]
    member: Bool


def measure(
    base: Base, targets: int, shadows: int, batch: int, seed: int, kept: Kept, report: Report
) -> list[Measured]:
    """Members are deleted in batches, and every attacker asks every model about them and as many non-members.

    Deterministic under a seed. Raises IfruError where there are too few rows.
    """
    pool = pooled(base, targets, np.random.default_rng([seed, 0]))
    setting = Setting(base, pool, shadows, batch, seed, kept, report)
    report("the attacked models", None)
    confidence = {name: pool.confidence(theta) for name, theta in _models(setting, pool).items()}
    known, simulated = informed(setting)
    by_attacker = {"halves": dict.fromkeys(MODELS, halves(setting)), "informed": dict.fromkeys(MODELS, known)}
    # On the retrained model, a simulation of updates is the control: there is nothing to find.
    by_attacker["simulating"] = {**simulated, "retrained": simulated["updated"]}
    return [_attacked(name, pool, confidence, by_attacker[name], seed) for name in ATTACKERS]


def _attacked(
    attacker: str, pool: Pool, confidence: Mapping[str, Float64], shadows: Mapping[str, Shadows], seed: int
) -> Measured:
    ratios = {model: likelihood_ratio(of, confidence[model]) for model, of in shadows.items()}
    random = np.random.default_rng([seed, 4])
    return Measured(attacker, successes(ratios, pool.member, "retrained", random), ratios, pool.member)


def _models(setting: Setting, pool: Pool) -> dict[str, Tensor]:
    """θ [R, K] of every model, in the precision in which it is published."""
    base = setting.base
    retained = base.train.copy()
    members = retained.with_companions(pool.deleted)
    retained.delete(members)
    return {
        "before": base.theta.float(),
        **dict(forgetting(setting, base.theta, base.train, pool.deleted)),
        "retrained": scratch(base, retained, members, setting.seed + 1, setting.kept).float(),
    }
