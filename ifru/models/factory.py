"""Modules that are not this package's: only what this process was told to import is ever imported.

A version names the factory that its module came from. That name is compared, and never followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module

from torch import nn

from ifru.errors import DataError

FACTORY = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
"""`package.module:factory`: a callable without arguments that returns a `torch.nn.Module`."""

_local: dict[str, Callable[[], object]] = {}


class ModuleError(DataError):
    """A module that cannot be used."""


class NotConfigured(ModuleError):
    """A model whose module this process was not told to import."""

    def __init__(self, factory: str) -> None:
        super().__init__(
            f"the model is the module {factory!r}, which a stored version never makes this program import: if you "
            f"trust it, set `model: {factory}` (IFRUD_MODEL) for the daemon, pass --model {factory} to ifru, or call "
            "ifru.use_module"
        )


def use_module(factory: str) -> None:
    """Import the factory `package.module:factory`, so that models made by it can be used in this process.

    Raises ModuleError where it cannot be imported.
    """
    if not re.match(FACTORY, factory):
        raise ModuleError(f"the model {factory!r} is no factory; one is named like package.module:factory")
    package, _, name = factory.partition(":")
    try:
        found = getattr(import_module(package), name)
    except Exception as error:
        raise ModuleError(
            f"the model {factory!r} cannot be imported ({type(error).__name__}: {error}); "
            "install what it needs, and put its folder on PYTHONPATH"
        ) from error
    if not callable(found):
        raise ModuleError(f"the model {factory!r} is a {type(found).__name__}; a callable that returns a module is due")
    _local[factory] = found


def module_of(factory: str) -> nn.Module:
    """A new module of a factory that was configured. Raises NotConfigured, and ModuleError where it builds none."""
    if factory not in _local:
        raise NotConfigured(factory)
    try:
        module = _local[factory]()
    except Exception as error:
        raise ModuleError(f"the model {factory!r} cannot be built ({type(error).__name__}: {error})") from error
    if not isinstance(module, nn.Module):
        raise ModuleError(f"the model {factory!r} returned a {type(module).__name__}; a torch.nn.Module is due")
    return module
