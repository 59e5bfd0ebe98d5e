"""Whether a store still has a version, as it was read or written."""

from __future__ import annotations

import hashlib

from ifru.snapshots.errors import HistoryReplaced
from ifru.snapshots.format import Manifest, Tombstone, decode_manifest, manifest_path
from ifru.stores.errors import NotFound
from ifru.stores.store import Store


def check_kept(store: Store, manifest: Manifest) -> None:
    """One get, of the version's manifest. A version that was collected since is kept.

    Raises HistoryReplaced where there is none, or another one, CorruptFile, StoreError.
    """
    path = manifest_path(manifest.version)
    try:
        data = store.get(path)
    except NotFound:
        raise HistoryReplaced(path, "does not exist any more") from None
    digest = hashlib.sha256(data).hexdigest()
    if digest == manifest.sha256:
        return
    found = decode_manifest(data, manifest.version)
    if not isinstance(found, Tombstone):
        raise HistoryReplaced(
            path,
            f"is another version {manifest.version}: it has SHA-256 {digest}, the one that is "
            f"held or was written has {manifest.sha256}",
        )
    if found.sha256 not in (None, manifest.sha256):
        raise HistoryReplaced(path, f"is what is left of another version {manifest.version}, of SHA-256 {found.sha256}")
