"""What the next version differs in from its parent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from torch import Tensor

from ifru.interactions import Dataset, Deletion, Interactions
from ifru.models import ModelConfig, model_of
from ifru.objective.parameters import Parameters, ParameterUpdate
from ifru.snapshots.answered import Remembered
from ifru.snapshots.format import Manifest
from ifru.snapshots.holding import Holding
from ifru.snapshots.numbering import Numbering
from ifru.snapshots.parquet import encode_features, encode_ids, encode_interactions
from ifru.snapshots.parts import FEATURES, Event, ProvenBound, Residual, Role
from ifru.snapshots.sources import Source
from ifru.snapshots.suppressed import NOBODY, Suppressed
from ifru.snapshots.tensors import Delta, encode_delta, encode_tensors, named_tensors


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
    holding: the requests that are held now, and what was erased lately; None where the parent says it.
    answered: what is remembered of older requests; None where it is what the parent remembers.
    suppressed: who was erased and not yet on the list, or released; of a full version the whole list.
    candidate: the name of the candidate that the whole state comes from.
    hash_key_id: None where it is the parent's.
    purged: the version up to which its receipts say that requests are purged, where the parent's did not.
    proof: of an older version, newer than the parent's; None where there is none.
    claim: whether it changes nothing, and only shows that this writer has taken over.
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
    holding: Holding | None = None
    answered: Remembered | None = None
    suppressed: Suppressed = NOBODY
    candidate: str | None = None
    hash_key_id: str | None = None
    purged: int = 0
    proof: ProvenBound | None = None
    claim: bool = False
    full: FullState | None = None


def serving_of(config: ModelConfig, parameters: Parameters, train: Interactions) -> Parameters | None:
    """What scores pairs; None where it is the parameters themselves, with features beside them where there are some."""
    serving = model_of(config).serving(parameters, train)
    return None if serving is parameters or config.encodings else serving


def full_contents(state: FullState) -> dict[Role, bytes]:
    """The files of a full version. Raises ValueError for a state that cannot be one."""
    data = state.dataset
    ids = {"user": data.users, "item": data.items}
    contents: dict[Role, bytes] = {
        "model": encode_tensors(named_tensors(state.parameters, state.config)),
        "train": encode_interactions(data.train),
        "holdout": encode_interactions(data.holdout),
        "users": encode_ids(data.users),
        "items": encode_ids(data.items),
    }
    contents |= {FEATURES[side]: encode_features(table, ids[side]) for side, table in state.features.items()}
    return contents | _besides(state, state.config)


def delta_contents(change: Change, parent: Manifest, numbering: Numbering) -> dict[Role, bytes]:
    """The files of a delta. Raises ValueError for a change that cannot be one."""
    delta = Delta(change.update, numbering.in_files(change.deletion))
    contents: dict[Role, bytes] = {"delta": encode_delta(delta, parent.model, parent.tables)}
    return contents | _besides(change, parent.model)


def _besides(what: FullState | Change, config: ModelConfig) -> dict[Role, bytes]:
    """What both kinds of versions may have besides their parameters."""
    contents: dict[Role, bytes] = {}
    if what.serving is not None:
        contents["serving"] = encode_tensors(named_tensors(what.serving, config))
    if what.buffers:
        # safetensors does not take tensors that share their memory.
        contents["buffers"] = encode_tensors({name: tensor.clone() for name, tensor in what.buffers.items()})
    return contents
