"""Version 1 of a model, however it came about."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from ifru.errors import IfruError
from ifru.snapshots import FullState, Manifest, NoVersion, Reader, Residual, Store, Writer, open_store


def empty_store(url: str) -> Store:
    """Open a store before any work is done for it. Raises IfruError where its prefix is in use."""
    store = open_store(url)
    try:
        version = Reader(store).newest()
    except NoVersion:
        return store
    raise IfruError(f"{url} is in use, it has version {version}; a model is trained into an empty prefix: name another")


def first_version(
    store: Store, state: FullState, reason: str, auc: float | None, hash_key: bytes | None = None
) -> Manifest:
    """Write version 1 of an empty prefix. reason: why the parameters are what they are.

    hash_key: of hashes in versions, where it is not kept with them.
    """
    writer = Writer(store, clock=lambda: datetime.now(UTC), attempts=lambda: uuid.uuid4().hex, hash_key=hash_key)
    return writer.start(state, {} if auc is None else {"auc": auc}, Residual.of_training(reason))
