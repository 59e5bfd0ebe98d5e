"""Shadow models: what targets score in models that did, and that did not, learn from them.

Axes: S shadow models, T targets, n rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.base import CPU, Base
from benchmarks.cases import NOTHING, recorded
from benchmarks.kept import Kept
from benchmarks.membership.pool import Pool
from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Deletion, Interactions
from ifru.interactions.table import Bool, Int64
from ifru.objective.parameters import Parameters
from ifru.training import Report, fit

LOOSE = EngineSettings(tolerance=0.3)


@dataclass(frozen=True, eq=False)
class Shadows:
    """present [S, T]: whether a target was in a shadow's training data. confidence [S, T]: its φ there."""

    present: Bool
    confidence: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Setting:
    """What all shadows are made from. number: S, even. batch: rows that are deleted together."""

    base: Base
    pool: Pool
    number: int
    batch: int
    seed: int
    kept: Kept
    report: Report


def halves(setting: Setting) -> Shadows:
    """Each shadow on a random half of the whole pool: the attacker has data of the same kind."""
    pool, random = setting.pool, np.random.default_rng([setting.seed, 1])
    present = _present(setting, random)
    others = np.setdiff1d(recorded(pool.table), pool.targets)
    found = []
    for number, inside in enumerate(present):
        setting.report(f"shadow {number + 1} of {setting.number}, random halves", number / setting.number)
        left_out = others[random.random(len(others)) < 0.5]
        found.append(pool.confidence(_trained(setting, np.concatenate([pool.targets[~inside], left_out]))))
    return Shadows(present, np.stack(found))


def informed(setting: Setting) -> tuple[Shadows, dict[str, Shadows]]:
    """Each shadow on everything but a random half of the targets: the attacker knows all other rows.

    Also what these score once the engine has forgotten the targets that they had learnt from, by what was done:
    see `forgetting`. There `present` says that a target was forgotten, rather than never there.
    """
    pool = setting.pool
    present = _present(setting, np.random.default_rng([setting.seed, 2]))
    learnt: list[NDArray[np.float64]] = []
    forgotten: dict[str, list[NDArray[np.float64]]] = {}
    for number, inside in enumerate(present):
        setting.report(f"shadow {number + 1} of {setting.number}, all else known", number / setting.number)
        theta = _trained(setting, pool.targets[~inside])
        learnt.append(pool.confidence(theta))
        table = pool.without(pool.targets[~inside])
        for name, version in forgetting(setting, theta, table, pool.targets[inside]):
            forgotten.setdefault(name, []).append(pool.confidence(version))
    known = {name: Shadows(present, np.stack(each)) for name, each in forgotten.items()}
    return Shadows(present, np.stack(learnt)), known


def forgetting(setting: Setting, theta: Tensor, table: Interactions, rows: Int64) -> Iterator[tuple[str, Tensor]]:
    """θ [R, K] after the engine has deleted rows [n], in random order and in batches.

    'loose' with a first answer to every batch, 'updated' as it is by default, 'refined' after idle time.
    """
    shuffled = np.random.default_rng([setting.seed, 3]).permutation(rows)
    batches = np.split(shuffled, range(setting.batch, len(shuffled), setting.batch))
    for name, asked in (("loose", LOOSE), ("updated", EngineSettings())):
        dataset = replace(setting.base.dataset.copy(), train=table.copy())
        engine = Engine(setting.base.config, Parameters.unstacked(theta.float(), table.users), dataset, asked)
        for batch in batches:
            engine.apply(Deletion(table.with_companions(batch), NOTHING))
        yield name, engine.parameters.stacked()
    engine.refine()
    yield "refined", engine.parameters.stacked()


def _present(setting: Setting, random: np.random.Generator) -> Bool:
    """Which targets each shadow learns from: each target is in exactly half of the shadows."""
    order = random.random((setting.number, len(setting.pool.targets))).argsort(0)
    return order < setting.number // 2


def _trained(setting: Setting, left_out: Int64) -> Tensor:
    base, pool = setting.base, setting.pool

    def compute() -> Tensor:
        return fit(pool.without(left_out), base.config, seed=setting.seed, device=CPU, dtype=torch.float64).theta

    table = pool.table
    depends = ("shadow", base.config, setting.seed, table.user, table.item, table.label, np.sort(left_out))
    return setting.kept.tensor(depends, compute)
