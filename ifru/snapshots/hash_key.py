"""The key under which requests are hashed, so that manifests name no request and no subject."""

from __future__ import annotations

import hashlib
import hmac
import json

from ifru.requests import Request
from ifru.snapshots.documents import decode_json
from ifru.snapshots.errors import CorruptFile
from ifru.stores.errors import AlreadyExists
from ifru.stores.store import Store

HASH_KEY = "hash-key.json"
KEY_BYTES = 32
FINGERPRINT_DIGITS = 16
"""Hex digits of a fingerprint. It is only compared with that of a request under the same id."""


def create_hash_key(store: Store, key: bytes) -> None:
    """Store the key of a prefix, unless it has one: the first one stays, whoever wrote it. Raises StoreError."""
    try:
        store.create(HASH_KEY, json.dumps({"key": key.hex()}).encode())
    except AlreadyExists:
        return


def read_hash_key(store: Store) -> bytes:
    """The key of a prefix. Raises NotFound where nothing was ever started there, CorruptFile, StoreError."""
    try:
        key = bytes.fromhex(decode_json(store.get(HASH_KEY))["key"])
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
    return _keyed_hash(key, [source, event_id])


def fingerprint(key: bytes, request: Request) -> str:
    """The start of the HMAC-SHA256, in hex, of the JSON array [source, id, content] without spaces, keys in order.

    The time is left out: a request that is sent again may have another one. Source and id are in it, so that nobody can
    test whether a subject that they know was asked for, not even with the key, unless they know the request.
    """
    return _keyed_hash(key, [*request.identity, request.content])[:FINGERPRINT_DIGITS]


def _keyed_hash(key: bytes, document: object) -> str:
    data = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hmac.digest(key, data.encode(), "sha256").hex()
