"""The key under which requests are hashed, so that manifests name no request and no subject."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ifru.requests import Request
from ifru.snapshots.documents import decode_json
from ifru.snapshots.errors import CorruptFile, WrongHashKey
from ifru.stores.errors import AlreadyExists, NotFound
from ifru.stores.store import Store

HASH_KEY = "hash-key.json"
KEY_BYTES = 32
FINGERPRINT_DIGITS = 16
"""Hex digits of a fingerprint. It is only compared with that of a request under the same id."""

SUBJECT_BYTES = 8
"""Of the hash of a user, an item or a pair."""

_BLOCK = 64
"""Bytes that SHA-256 reads at once."""

# `json.dumps` makes a new one at each call where it is given options.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)

PAIR_BITS = 48
"""Those of a pair's hash that are the pair's own; the others are its user's."""


def create_hash_key(store: Store, key: bytes) -> None:
    """Store the key of a prefix, unless it has one: the first one stays, whoever wrote it. Raises StoreError."""
    try:
        store.create(HASH_KEY, encode_hash_key(key))
    except AlreadyExists:
        return


def encode_hash_key(key: bytes) -> bytes:
    return json.dumps({"key": key.hex()}).encode()


def read_hash_key(store: Store) -> bytes:
    """The key of a prefix. Raises NotFound where it has none, CorruptFile, StoreError."""
    try:
        return decode_hash_key(store.get(HASH_KEY))
    except ValueError as error:
        raise CorruptFile(HASH_KEY, str(error)) from error


def decode_hash_key(data: bytes) -> bytes:
    """A key as it is stored. Raises ValueError."""
    try:
        key = bytes.fromhex(decode_json(data)["key"])
    except (ValueError, KeyError, TypeError):
        raise ValueError("holds no key in hex") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"holds a key of {len(key)} bytes, not {KEY_BYTES}")
    return key


def outside_hash_key(text: str | None, file: Path | None) -> bytes | None:
    """A key that is not kept with the versions: as text in hex, or in a file with that or the JSON of hash-key.json.

    None where neither is given. Raises WrongHashKey where it is no key.
    """
    where = "the hash key that was given" if file is None else str(file)
    try:
        data = text if file is None else file.read_text("utf-8")
        if data is None:
            return None
        data = data.strip()
        return decode_hash_key((data if data.startswith("{") else json.dumps({"key": data})).encode())
    except OSError as error:
        raise WrongHashKey(f"{where} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise WrongHashKey(
            f"{where} {error}; a key is {KEY_BYTES} bytes in hex, or the content of {HASH_KEY}"
        ) from None


def hash_key_of(store: Store, wanted: str | None, outside: bytes | None = None) -> bytes:
    """The key of a version. wanted: its `hash_key_id`. outside: a key that is not kept with the versions.

    Raises WrongHashKey where there is none, or another one, CorruptFile, StoreError.
    """
    try:
        key = read_hash_key(store) if outside is None else outside
    except NotFound:
        raise WrongHashKey(
            f"the store has no {HASH_KEY}, and no other key was given: name the file that holds it, by --hash-key-file "
            "or the setting hash_key_file"
        ) from None
    if wanted not in (None, key_id(key)):
        where = HASH_KEY if outside is None else "the hash key that was given"
        raise WrongHashKey(f"{where} has the id {key_id(key)}, and the versions are hashed by {wanted}: give that key")
    return key


def key_id(key: bytes) -> str:
    """What tells a key from others without betraying it: 16 hex digits of its SHA-256."""
    return hashlib.sha256(key).hexdigest()[:16]


def event_hash(key: bytes, source: str, event_id: str) -> str:
    """HMAC-SHA256, in hex, of what tells an event from any other, as the JSON array [source, id] without spaces."""
    return keyed(key, b"[%b,%b]" % (encoded_id(source), encoded_id(event_id))).hex()


def fingerprint(key: bytes, request: Request) -> str:
    """The start of the HMAC-SHA256, in hex, of the JSON array [source, id, content] without spaces, keys in order.

    The time is left out: a request that is sent again may have another one. Source and id are in it, so that nobody can
    test whether a subject that they know was asked for, not even with the key, unless they know the request.
    """
    message = _ENCODER.encode([*request.identity, request.content]).encode()
    return keyed(key, message).hex()[:FINGERPRINT_DIGITS]


def encoded_id(name: str) -> bytes:
    """An external id as `subject_hash` takes it."""
    return _ENCODER.encode(name).encode()


def subject_hash(key: bytes, kind: str, *ids: bytes) -> int:
    """The first 8 bytes of the HMAC-SHA256 of the JSON array ["suppressed", kind, id, …] without spaces.

    ids: encoded, of a user, an item, or both. It is never that of an event, which has two or three parts and another
    third one.
    """
    message = b'["suppressed","%b",%b]' % (kind.encode(), b",".join(ids))
    return int.from_bytes(keyed(key, message)[:SUBJECT_BYTES], "big")


def pair_hash(key: bytes, user: bytes, item: bytes) -> int:
    """Of a pair, as `subject_hash`; but the first bytes are those of the user's hash.

    So the pairs of most users need not be hashed to know that they are not listed.
    """
    above, below = (subject_hash(key, "user", user), subject_hash(key, "pair", user, item))
    return above >> PAIR_BITS << PAIR_BITS | below & (1 << PAIR_BITS) - 1


def keyed(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104), three times as fast as `hmac.digest` for many short messages under one key."""
    inner, outer = _begun(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(message)
    outer.update(inner.digest())
    return bytes(outer.digest())


@lru_cache(maxsize=4)
def _begun(key: bytes) -> tuple[Any, Any]:
    """Both hashes after the key."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    inner, outer = (hashlib.sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
    return inner, outer
