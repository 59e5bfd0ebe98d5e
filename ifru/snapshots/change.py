"""What the next version differs in from its parent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from torch import Tensor

from ifru.interactions import Dataset, Deletion, Interactions
from ifru.models import ModelConfig, model_of
from ifru.objective.parameters import Parameters, ParameterUpdate
from ifru.snapshots.format import Manifest
from ifru.snapshots.numbering import Numbering
from ifru.snapshots.parquet import encode_features, encode_ids, encode_interactions
from ifru.snapshots.parts import Event, Held, Residual, Role
from ifru.snapshots.sources import Source
from ifru.snapshots.tensors import Delta, encode_delta, encode_parameters, encode_tensors


@dataclass(frozen=True)
class FullState:
    """Everything that a model is, after the change.

    serving: what scores pairs, where it is not the parameters themselves. buffers: name -> tensor of a module that no
    gradient moves. features: `user` or `item` -> a table with a column `row`; those of erased entities are left out.
    """

    config: ModelConfig
    parameters: Parameters
    dataset: Dataset
    serving: Parameters | None = None
    buffers: Mapping[str, Tensor] = field(default_factory=dict)
    features: Mapping[str, pa.Table] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """One batch.

    deletion: rows that this batch retired, by their positions in memory; none of them was retired before.
    positions: source -> partition -> next, or a whole `Source`; what is not named stays as the parent has it.
    events: requests that are answered, or only their keyed hashes. receipts: one JSON document each, without newline.
    serving: what scores pairs now, where it is not the parameters themselves. buffers: all, where one has changed.
    held: all requests that are held now; None where the parent's still are. hash_key_id: None where it is the parent's.
    full: where it is given, the whole state is written anew, and update, deletion, serving and buffers are not read.
    """

    update: ParameterUpdate
    deletion: Deletion
    positions: Mapping[str, Source | Mapping[int, int]]
    events: Sequence[Event | str]
    residual: Residual
    receipts: Sequence[bytes] = ()
    quality: Mapping[str, float] = field(default_factory=dict)
    serving: Parameters | None = None
    buffers: Mapping[str, Tensor] | None = None
    held: Sequence[Held] | None = None
    hash_key_id: str | None = None
    full: FullState | None = None


def serving_of(config: ModelConfig, parameters: Parameters, train: Interactions) -> Parameters | None:
    """What scores pairs; None where it is the parameters themselves."""
    serving = model_of(config).serving(parameters, train)
    return None if serving is parameters else serving


def full_contents(state: FullState) -> dict[Role, bytes]:
    """The files of a full version. Raises ValueError for a state that cannot be one."""
    data = state.dataset
    contents: dict[Role, bytes] = {
        "model": encode_parameters(state.parameters, state.config),
        "train": encode_interactions(data.train),
        "holdout": encode_interactions(data.holdout),
        "users": encode_ids(data.users),
        "items": encode_ids(data.items),
    }
    if "user" in state.features:
        contents["user_features"] = encode_features(state.features["user"], data.users)
    if "item" in state.features:
        contents["item_features"] = encode_features(state.features["item"], data.items)
    if state.buffers:
        contents["buffers"] = encode_tensors(state.buffers)
    return contents | _serving(state.serving, state.config)


def delta_contents(change: Change, parent: Manifest, numbering: Numbering) -> dict[Role, bytes]:
    """The files of a delta. Raises ValueError for a change that cannot be one."""
    delta = Delta(change.update, numbering.in_files(change.deletion))
    contents: dict[Role, bytes] = {"delta": encode_delta(delta, parent.model, parent.tables)}
    if change.buffers is not None:
        contents["buffers"] = encode_tensors(change.buffers)
    return contents | _serving(change.serving, parent.model)


def _serving(serving: Parameters | None, config: ModelConfig) -> dict[Role, bytes]:
    return {} if serving is None else {"serving": encode_parameters(serving, config)}
