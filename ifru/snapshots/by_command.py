"""Versions that a command writes while no daemon works: a whole state in place of the newest version's."""

from __future__ import annotations

from collections.abc import Mapping

from ifru.interactions import Deletion
from ifru.objective.parameters import ParameterUpdate
from ifru.snapshots import candidates
from ifru.snapshots.answered import Remembered
from ifru.snapshots.change import Change, FullState
from ifru.snapshots.format import Manifest
from ifru.snapshots.parts import Residual
from ifru.snapshots.reader import Reader
from ifru.snapshots.suppressed import Suppressed
from ifru.snapshots.writer import Writer
from ifru.stores.store import Store


def change_to(
    state: FullState,
    reader: Reader,
    parent: Manifest,
    residual: Residual,
    quality: Mapping[str, float],
    answered: Remembered,
    suppressed: Suppressed,
) -> Change:
    """The change from a version to another state. suppressed: the whole list. Raises CorruptFile, StoreError."""
    return Change(
        update=ParameterUpdate({}),
        deletion=Deletion.nothing(),
        positions={},
        events=(),
        residual=residual,
        quality=quality,
        # A daemon that died may never have sent them, and the next one repeats those of the newest version alone.
        receipts=reader.receipts(parent.version),
        answered=answered,
        suppressed=suppressed,
        full=state,
    )


def commit(store: Store, writer: Writer, parent: Manifest, change: Change) -> Manifest:
    """Commit a change of a version. Raises what `Writer.commit` raises."""
    if parent.candidate is not None:
        # A daemon that died had no time to remove it, and the next one looks at the newest version alone.
        candidates.forget(store, parent.candidate)
    return writer.commit(parent, change)
