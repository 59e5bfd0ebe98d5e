"""The facts that head a report: about the base model, and about the machine."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch

from benchmarks.base import Base

_MODELS = {"mf": "matrix factorisation", "lightgcn": "LightGCN"}


def heading(base: Base) -> str:
    """Data and model in a line."""
    config = base.config
    return f"{base.name}: {_MODELS.get(config.name, config.name)}, rank {config.rank}, λ {config.l2:g}"


def facts(base: Base) -> dict[str, object]:
    """What there is to know about a base model and the machine."""
    return {
        "data": base.name,
        "training_rows": base.train.retained,
        "users": base.train.users,
        "items": base.train.items,
        **base.config.model_dump(exclude={"name", "loss", "bias"}),
        "l2_tried": {f"{l2:g}": round(auc, 4) for l2, auc in base.tried.items()},
        "relative_gap": base.relative_gap,
        **machine(),
    }


def machine() -> dict[str, object]:
    """What timings depend on, as far as the process can tell."""
    return {"threads": torch.get_num_threads(), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}


def listed(known_facts: Mapping[str, object]) -> str:
    """Facts as a Markdown list."""
    return "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in known_facts.items())
