"""Scores by a `torch.nn.Module`: rows of ifru's tables go in, the module's own parameters are shared by all scores.

Axes: n pairs, K columns of a row, Fu and Fi features of a user and of an item.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ifru.errors import DataError


@dataclass(frozen=True)
class ModuleScore:
    """s = module(user [n, K], item [n, K], user_features [n, Fu] | None, item_features [n, Fi] | None) -> [n].

    A score depends on its own pair alone, and it is differentiable almost everywhere. The module runs in evaluation
    mode. name: for errors.
    """

    module: nn.Module
    name: str

    @staticmethod
    def of(module: nn.Module, name: str, device: torch.device, dtype: torch.dtype) -> ModuleScore:
        """A score by a module, which is moved. Raises DataError for one whose scores depend on other pairs."""
        for each in module.modules():
            if isinstance(each, nn.modules.batchnorm._BatchNorm):
                raise DataError(
                    f"{name} has a {type(each).__name__}: its statistics are of all data, deleted ones included; "
                    "use LayerNorm, whose scores depend on their own pair alone"
                )
        return ModuleScore(deepcopy(module).to(device, dtype).eval(), name)

    def __call__(
        self,
        user: Tensor,
        item: Tensor,
        shared: Mapping[str, Tensor],
        user_features: Tensor | None = None,
        item_features: Tensor | None = None,
    ) -> Tensor:
        """s [n] under shared weights, parameter name -> tensor. Raises DataError where the module gives no such."""
        try:
            found = torch.func.functional_call(self.module, dict(shared), (user, item, user_features, item_features))
        except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
            first = " ".join(str(error).split())
            raise DataError(
                f"{self.name} failed on rows {tuple(user.shape)} and {tuple(item.shape)} with features "
                f"{_shape(user_features)} and {_shape(item_features)}: {first}"
            ) from error
        if not isinstance(found, Tensor) or found.shape != user.shape[:1]:
            raise DataError(
                f"{self.name} returned {tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__} for "
                f"{len(user)} pairs; scores of shape ({len(user)},) are due"
            )
        return found


def _shape(features: Tensor | None) -> tuple[int, ...] | None:
    return None if features is None else tuple(features.shape)
