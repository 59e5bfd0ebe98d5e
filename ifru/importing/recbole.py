"""Checkpoints that RecBole saved (recbole.io): BPR, LightGCN and NeuMF, without RecBole.

A checkpoint is a pickle with objects of RecBole's own classes in it. Here no class is imported and no function is
called but those that make tensors; every other object becomes an empty one that only keeps its state.

Axes: U users, I items. RecBole's tables have one row more, the first, for padding; it is left out.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from ifru.errors import DataError

_MODELS = ("BPR", "LightGCN", "NeuMF")

_MAKES_TENSORS = {
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
}


@dataclass(frozen=True)
class Checkpoint:
    """model: RecBole's name of it. tables: `user` and `item` [U, K] and [I, K], by the name of the embedding.

    weights: all other parameters, under RecBole's names. settings: RecBole's configuration, as far as it is plain data.
    """

    model: str
    tables: Mapping[str, tuple[Tensor, Tensor]]
    weights: Mapping[str, Tensor]
    settings: Mapping[str, Any]


def read_recbole(path: Path) -> Checkpoint:
    """Read a checkpoint; nothing in it is run. Raises DataError for a file that is none, or of another model."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=False, pickle_module=_INERT)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: cannot be read as a checkpoint of RecBole ({error})") from error
    state = found.get("state_dict") if isinstance(found, dict) else None
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise DataError(f"{path}: holds no state_dict of tensors; allowed is a checkpoint that RecBole's trainer saved")
    settings = _settings(found.get("config"))
    model = settings.get("model")
    if model not in _MODELS:
        raise DataError(f"{path}: is of the model {model!r}; allowed are {', '.join(_MODELS)}")
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise DataError(f"{path}: {name} holds a value that is not finite")
    return Checkpoint(model, _tables(state, path), _weights(state), settings)


def _tables(state: Mapping[str, Tensor], path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Embedding -> user rows, item rows; `embedding` where a model has one."""
    found = {}
    for name, user in state.items():
        if not (name.startswith("user_") and name.endswith("embedding.weight")):
            continue
        item = state.get(f"item_{name.removeprefix('user_')}", user[:0])
        if min(len(user), len(item)) < 2 or user.shape[1:] != item.shape[1:]:
            raise DataError(
                f"{path}: {name} is {list(user.shape)}, and the items' table beside it {list(item.shape)}; allowed are "
                "two tables of the same width, with a row for padding and one for an entity at least"
            )
        found[name.removeprefix("user_").removesuffix(".weight")] = user[1:].clone(), item[1:].clone()
    if not found:
        raise DataError(f"{path}: has no user_embedding.weight, but {', '.join(sorted(state))}")
    return found


def _weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if not name.endswith("embedding.weight")}


def _settings(config: object) -> dict[str, Any]:
    """What RecBole was configured with, where it is there and plain."""
    state = getattr(config, "state", None)
    final = state.get("final_config_dict") if isinstance(state, dict) else None
    plain = (str, int, float, bool, list, type(None))
    return {name: value for name, value in (final or {}).items() if isinstance(name, str) and isinstance(value, plain)}


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
