"""The key of hashes is rotated, in a world."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ifru.snapshots import Reader, Store, Writer, hash_key_of, key_id
from ifru.snapshots.by_command import commit
from ifru.snapshots.hash_key import KEY_BYTES, encode_hash_key, rotated_path
from ifru.snapshots.rekeyed import rekeyed


def rotate(store: Store, new: bytes, utc: Callable[[], datetime]) -> None:
    """As `ifru rekey` does it."""
    reader = Reader(store)
    newest = reader.load()
    key = hash_key_of(store, newest.manifest.hash_key_id)
    change = rekeyed(reader, newest, key, new)
    store.create(rotated_path(key_id(key + new)), encode_hash_key(key + new))
    commit(store, Writer(store, utc, lambda: f"rotation-{new.hex()[:8]}"), newest.manifest, change)


__all__ = ["KEY_BYTES", "rotate"]
