"""Whether a bucket keeps old versions of what is deleted."""

from __future__ import annotations

from ifru.stores.objects import ObjectStore
from ifru.stores.store import Store

VERSIONED = (
    "the bucket keeps old versions of deleted objects: what was deleted can still be read there until a lifecycle rule "
    "for noncurrent versions, or somebody by hand, removes them"
)


def keeps_versions(store: Store, name: str) -> bool:
    """Whether a deleted file stays in the bucket as an old version, for whoever asks for that.

    name: one that was never used before. Raises StoreError.
    """
    return isinstance(store, ObjectStore) and store.keeps_versions(f"probe/{name}")
