"""Matrix factorisation by an author who wrote its objective before objectives took other labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import torch

from ifru.interactions import Interactions
from ifru.models import register
from ifru.models.mf import MatrixFactorization, MFConfig
from ifru.objective import Objective


class UnlabelledConfig(MFConfig):
    name: Literal["unlabelled"] = "unlabelled"  # type: ignore[assignment]


class _Unlabelled:
    def __init__(self, objective: Objective) -> None:
        self._objective = objective

    def __getattr__(self, name: str) -> Any:
        if name == "relabel":
            raise AttributeError(name)
        return getattr(self._objective, name)


@dataclass(frozen=True)
class Unlabelled(MatrixFactorization):
    def objective(self, interactions: Interactions, device: torch.device, dtype: torch.dtype) -> Objective:
        return cast("Objective", _Unlabelled(super().objective(interactions, device, dtype)))


register(UnlabelledConfig, Unlabelled)
