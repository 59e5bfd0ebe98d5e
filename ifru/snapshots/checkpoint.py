"""A version in the user's own module, for serving by their own code."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from ifru.errors import DataError
from ifru.snapshots.version import Version

M = TypeVar("M", bound=nn.Module)


def restore(version: Version, module: M) -> M:
    """Set the parameters of a module to the shared weights of a version, exactly; returns the module.

    The rows that go into it are `version.serving.user` and `version.serving.item`; row numbers of ids are in
    `version.dataset`. Raises DataError, and sets nothing, where names or shapes differ.
    """
    found = {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
    stored = {name: tuple(tensor.shape) for name, tensor in version.serving.shared.items()}
    if found != stored:
        raise DataError(
            f"the module has the parameters {found}, and version {version.manifest.version} has {stored}; "
            "restore into a module as the factory of this model builds it"
        )
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(version.serving.shared[name])
    return module
