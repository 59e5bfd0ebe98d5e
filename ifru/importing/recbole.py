"""Checkpoints that RecBole saved (recbole.io): BPR, LightGCN and NeuMF, without RecBole.

Axes: U users, I items. RecBole's tables have one row more, the first, for padding; it is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ifru.errors import DataError
from ifru.importing.inert import load_inert, state_of
from ifru.models import MFConfig, ModelConfig
from ifru.models.lightgcn import LightGCNConfig
from ifru.models.module import shapes_of
from ifru.models.neumf import NeuMFConfig
from ifru.objective.parameters import Parameters

_MODELS = ("BPR", "LightGCN", "NeuMF")


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
    found = load_inert(path)
    if not isinstance(found, dict):
        found = {}
    state = found.get("state_dict")
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


def model_in(checkpoint: Checkpoint, l2: float, path: Path) -> tuple[ModelConfig, Parameters]:
    """The model of a checkpoint, with a penalty λ. Raises DataError for one that has no counterpart here."""
    if checkpoint.model == "NeuMF":
        return _neumf(checkpoint, l2, path)
    (user, item), *others = checkpoint.tables.values()
    if others:
        raise DataError(
            f"{path}: has the tables {', '.join(checkpoint.tables)}; allowed is one of users and one of items"
        )
    rank = user.shape[1]
    if checkpoint.model == "BPR":
        return MFConfig(rank=rank, loss="bpr", l2=l2), Parameters.of(user, item)
    layers = _setting(checkpoint, "n_layers", path)
    return LightGCNConfig(rank=rank, loss="bpr", l2=l2, layers=layers), Parameters.of(user, item)


def _neumf(checkpoint: Checkpoint, l2: float, path: Path) -> tuple[ModelConfig, Parameters]:
    """RecBole's columns and ours are the same: those of the factorisation, then those of the perceptron."""
    if set(checkpoint.tables) != {"mf_embedding", "mlp_embedding"}:
        raise DataError(
            f"{path}: has the tables {', '.join(checkpoint.tables)}; allowed are mf_embedding, mlp_embedding"
        )
    (user, item), (deep_user, deep_item) = (checkpoint.tables[name] for name in ("mf_embedding", "mlp_embedding"))
    if user.shape[1] != deep_user.shape[1]:
        raise DataError(
            f"{path}: mf_embedding_size is {user.shape[1]} and mlp_embedding_size {deep_user.shape[1]}; allowed are "
            "equal ones"
        )
    rest, shared, hidden = dict(checkpoint.weights), dict[str, Tensor](), list[int]()
    for layer in range(len(rest)):
        # A layer of RecBole's is dropout, linear, activation; one of ours linear, activation.
        weight = rest.pop(f"mlp_layers.mlp_layers.{3 * layer + 1}.weight", None)
        if weight is None:
            break
        hidden.append(len(weight))
        shared |= {f"mlp.{2 * layer}.weight": weight}
        shared |= {f"mlp.{2 * layer}.bias": rest.pop(f"mlp_layers.mlp_layers.{3 * layer + 1}.bias")}
    shared |= {f"out.{name}": rest.pop(f"predict_layer.{name}", user) for name in ("weight", "bias")}
    expected = {name: tuple(tensor.shape) for name, tensor in shared.items()}
    config = NeuMFConfig(rank=2 * user.shape[1], l2=l2, hidden=tuple(hidden or [1]))
    if rest or not hidden or expected != shapes_of(config.build()):
        raise DataError(
            f"{path}: has the weights {', '.join(sorted(checkpoint.weights))}; allowed are those of a NeuMF with both "
            "of its parts, and with a hidden layer at least"
        )
    tables = {"user": torch.cat([user, deep_user], 1), "item": torch.cat([item, deep_item], 1)}
    return config, Parameters(tables, shared)


def _setting(checkpoint: Checkpoint, name: str, path: Path) -> int:
    value = checkpoint.settings.get(name)
    if not isinstance(value, int) or not 1 <= value <= 4:
        raise DataError(f"{path}: {name} is {value!r} in its configuration; allowed are whole numbers from 1 to 4")
    return value


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
    state = state_of(config)
    final = state.get("final_config_dict") if isinstance(state, dict) else None
    plain = (str, int, float, bool, list, type(None))
    return {name: value for name, value in (final or {}).items() if isinstance(name, str) and isinstance(value, plain)}
