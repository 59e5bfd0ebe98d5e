"""The key under which event ids are hashed, so that manifests name no event and no subject."""

from __future__ import annotations

import hashlib
import hmac
import json

from ifru.snapshots.errors import CorruptFile
from ifru.stores.errors import AlreadyExists
from ifru.stores.store import Store

HASH_KEY = "hash-key.json"
KEY_BYTES = 32


def create_hash_key(store: Store, key: bytes) -> None:
    """Store the key of a prefix, unless it has one: the first one stays, whoever wrote it. Raises StoreError."""
    try:
        store.create(HASH_KEY, json.dumps({"key": key.hex()}).encode())
    except AlreadyExists:
        return


def read_hash_key(store: Store) -> bytes:
    """The key of a prefix. Raises NotFound where nothing was ever started there, CorruptFile, StoreError."""
    try:
        key = bytes.fromhex(json.loads(store.get(HASH_KEY))["key"])
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFile(HASH_KEY, "holds no key in hex") from error
    if len(key) != KEY_BYTES:
        raise CorruptFile(HASH_KEY, f"holds a key of {len(key)} bytes, not {KEY_BYTES}")
    return key


def key_id(key: bytes) -> str:
    """What tells a key from others without betraying it: 16 hex digits of its SHA-256."""
    return hashlib.sha256(key).hexdigest()[:16]


def event_hash(key: bytes, source: str, event_id: str) -> str:
    """HMAC-SHA256, in hex, of what tells an event from any other, as the JSON array [source, id] without spaces."""
    identity = json.dumps([source, event_id], ensure_ascii=False, separators=(",", ":"))
    return hmac.new(key, identity.encode(), hashlib.sha256).hexdigest()
