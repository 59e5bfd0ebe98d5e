"""What the next version differs in from its parent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ifru.interactions import Dataset, Deletion
from ifru.models.config import ModelConfig
from ifru.objective.parameters import Parameters
from ifru.snapshots.format import Residual, Role
from ifru.snapshots.numbering import Numbering
from ifru.snapshots.parquet import encode_ids, encode_interactions
from ifru.snapshots.tensors import Array, Delta, Rows, encode_delta, encode_tables


@dataclass(frozen=True)
class FullState:
    """Everything that a model is, after the change."""

    tables: Parameters
    dataset: Dataset


@dataclass(frozen=True)
class Change:
    """One batch.

    user_rows, item_rows [n]: rows that moved, int64. user_values, item_values [n, K]: their new values.
    deletion: rows that this batch retired, by their positions in memory; none of them was retired before.
    positions: source -> partition -> next; a partition that is not named stays where the parent has it.
    events: keyed hashes of event ids. receipts: one JSON document each, without newline.
    full: where it is given, the whole state is written anew instead of a delta.
    """

    user_rows: Array
    user_values: Array
    item_rows: Array
    item_values: Array
    deletion: Deletion
    positions: Mapping[str, Mapping[int, int]]
    events: Sequence[str]
    residual: Residual
    receipts: Sequence[bytes] = ()
    quality: Mapping[str, float] = field(default_factory=dict)
    full: FullState | None = None


def full_contents(state: FullState, config: ModelConfig) -> dict[Role, bytes]:
    """The files of a full version."""
    return {
        "model": encode_tables(state.tables, config),
        "train": encode_interactions(state.dataset.train),
        "holdout": encode_interactions(state.dataset.holdout),
        "users": encode_ids(state.dataset.users),
        "items": encode_ids(state.dataset.items),
    }


def delta_contents(change: Change, config: ModelConfig, numbering: Numbering) -> dict[Role, bytes]:
    """The file of a delta. Raises ValueError for a change that cannot be one."""
    delta = Delta(
        user=Rows.of(change.user_rows, change.user_values),
        item=Rows.of(change.item_rows, change.item_values),
        deletion=numbering.in_files(change.deletion),
    )
    return {"delta": encode_delta(delta, config)}


def merged_positions(
    parent: Mapping[str, Mapping[int, int]], change: Mapping[str, Mapping[int, int]]
) -> dict[str, dict[int, int]]:
    """The parent's positions, replaced where the change names the same source and partition."""
    sources = {**parent, **change}
    return {source: {**parent.get(source, {}), **change.get(source, {})} for source in sources}
