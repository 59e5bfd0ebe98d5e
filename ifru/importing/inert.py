"""Files of `torch.save`, read without running what is in them.

Such a file is a pickle. Here no class is imported and no function is called but those that make tensors; every other
object becomes an empty one that only keeps its state.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from ifru.errors import DataError

_MAKES_TENSORS = {
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
}


def load_inert(path: Path) -> object:
    """What a file holds, tensors on the CPU. Raises DataError for a file that cannot be read."""
    try:
        found: object = torch.load(path, map_location="cpu", weights_only=False, pickle_module=_INERT)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: cannot be read as a checkpoint ({error})") from error
    return found


def state_of(found: object) -> object:
    """The state of an object whose class is not imported; None for any other."""
    return found.state if isinstance(found, _Empty) else None


class _Empty:
    """In place of an object whose class is not imported."""

    def __new__(cls, *_: object, **__: object) -> _Empty:
        return object.__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, value: object) -> None:
        """A list would."""

    def extend(self, values: object) -> None:
        """A list would."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(module, name) if (module, name) in _MAKES_TENSORS else _Empty


def _load(*arguments: Any, **options: Any) -> object:
    return _Unpickler(*arguments, **options).load()


_INERT: Any = SimpleNamespace(Unpickler=_Unpickler, load=_load, __name__="inert")
