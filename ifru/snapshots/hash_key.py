"""The key under which requests are hashed, so that manifests name no request and no subject.

A key that was rotated is several keys of KEY_BYTES in a row, the oldest first. What the first one makes of a request is
hashed by the second one, and so on. So hashes can be made anew without the requests, and the keys before are of no use
to somebody who lacks the last one.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ifru.requests import Request
from ifru.snapshots.documents import decode_json
from ifru.snapshots.errors import CorruptFile, WrongHashKey
from ifru.snapshots.parts import Event
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

_FINGERPRINT_BYTES = 4
"""Of a fingerprint, that are remembered."""


def create_hash_key(store: Store, key: bytes) -> None:
    """Store the key of a prefix, unless it has one: the first one stays, whoever wrote it. Raises StoreError."""
    try:
        store.create(HASH_KEY, encode_hash_key(key))
    except AlreadyExists:
        return


def encode_hash_key(key: bytes) -> bytes:
    return json.dumps({"key": key.hex()}).encode()


def read_hash_key(store: Store, path: str = HASH_KEY) -> bytes:
    """The key of a prefix. Raises NotFound where it has none, CorruptFile, StoreError."""
    try:
        return decode_hash_key(store.get(path))
    except ValueError as error:
        raise CorruptFile(path, str(error)) from error


def decode_hash_key(data: bytes) -> bytes:
    """A key as it is stored. Raises ValueError."""
    try:
        key = bytes.fromhex(decode_json(data)["key"])
    except (ValueError, KeyError, TypeError):
        raise ValueError("holds no key in hex") from None
    if len(key) == 0 or len(key) % KEY_BYTES:
        raise ValueError(f"holds a key of {len(key)} bytes, not {KEY_BYTES}, or as often as it was rotated")
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
            f"{where} {error}; a key is {KEY_BYTES} bytes in hex, the content of {HASH_KEY}, or a file of ifru rekey"
        ) from None


def hash_key_of(store: Store, wanted: str | None, outside: bytes | None = None) -> bytes:
    """The key of a version. wanted: its `hash_key_id`. outside: a key that is not kept with the versions.

    A key that was rotated since holds the one that is wanted. Raises WrongHashKey where there is none, or another one,
    CorruptFile, StoreError.
    """
    if outside is not None:
        return _wanted(outside, wanted, "the hash key that was given")
    if wanted is not None:
        with suppress(NotFound):
            return _wanted(read_hash_key(store, rotated_path(wanted)), wanted, rotated_path(wanted))
    try:
        key = read_hash_key(store)
    except NotFound:
        raise WrongHashKey(
            f"the store has no {HASH_KEY}, and no other key was given: name the file that holds it, by --hash-key-file "
            "or the setting hash_key_file"
        ) from None
    return _wanted(key, wanted, HASH_KEY)


def names_key(key: bytes, name: str | None) -> bool:
    """Whether a key, or one that it was rotated from, has an id; true for None."""
    return name is None or any(key_id(start) == name for start in _starts(key))


def rotated_path(name: str) -> str:
    """Where a key that was rotated is kept, where it is kept with the versions. name: its id."""
    return f"hash-key-{name}.json"


def _wanted(key: bytes, wanted: str | None, where: str) -> bytes:
    """The key, or the start of it, that has an id; the oldest where versions name none."""
    for start in _starts(key):
        if wanted in (None, key_id(start)):
            return start
    raise WrongHashKey(
        f"{where} has the id {key_id(key)}, and the versions are hashed by {wanted}: give that key. Where it was "
        "rotated, it is the file that ifru rekey has written"
    )


def key_id(key: bytes) -> str:
    """What tells a key from others without betraying it: 16 hex digits of its SHA-256."""
    return hashlib.sha256(key).hexdigest()[:16]


def event_hash(key: bytes, source: str, event_id: str) -> str:
    """HMAC-SHA256, in hex, of what tells an event from any other, as the JSON array [source, id] without spaces."""
    first, *later = _keys(key)
    digest = keyed(first, b"[%b,%b]" % (encoded_id(source), encoded_id(event_id)))
    for one in later:
        digest = _again(one, b"hash", digest[:SUBJECT_BYTES])
    return digest.hex()


def fingerprint(key: bytes, request: Request) -> str:
    """The start of the HMAC-SHA256, in hex, of the JSON array [source, id, content] without spaces, keys in order.

    The time is left out: a request that is sent again may have another one. Source and id are in it, so that nobody can
    test whether a subject that they know was asked for, not even with the key, unless they know the request.
    """
    first, *later = _keys(key)
    digest = keyed(first, _ENCODER.encode([*request.identity, request.content]).encode())
    for one in later:
        digest = _again(one, b"fingerprint", digest[:_FINGERPRINT_BYTES])
    return digest.hex()[:FINGERPRINT_DIGITS]


def encoded_id(name: str) -> bytes:
    """An external id as `subject_hash` takes it."""
    return _ENCODER.encode(name).encode()


def subject_hash(key: bytes, kind: str, *ids: bytes) -> int:
    """The first 8 bytes of the HMAC-SHA256 of the JSON array ["suppressed", kind, id, …] without spaces.

    ids: encoded, of a user, an item, or both. It is never that of an event, which has two or three parts and another
    third one.
    """
    first, *later = _keys(key)
    message = b'["suppressed","%b",%b]' % (kind.encode(), b",".join(ids))
    found = int.from_bytes(keyed(first, message)[:SUBJECT_BYTES], "big")
    for one in later:
        found = rehashed(one, found)
    return found


def pair_hash(key: bytes, user: bytes, item: bytes) -> int:
    """Of a pair, as `subject_hash`; but its first bytes follow from the user alone (`pairs_of`).

    So the pairs of most users need not be hashed to know that they are not listed.
    """
    first, *later = _keys(key)
    above, below = (subject_hash(first, "user", user), subject_hash(first, "pair", user, item))
    found = above >> PAIR_BITS << PAIR_BITS | below & (1 << PAIR_BITS) - 1
    for one in later:
        found = rehashed_pair(one, found)
    return found


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


def pairs_of(key: bytes, user: bytes) -> int:
    """The first bytes, above PAIR_BITS, of the hashes of all pairs of a user."""
    first, *later = _keys(key)
    found = subject_hash(first, "user", user) >> PAIR_BITS
    for one in later:
        found = _rehashed_user(one, found)
    return found


def rehashed(new: bytes, hashed: int) -> int:
    """The first 8 bytes of a hash, once the key was rotated. new: the key that was added."""
    return int.from_bytes(_again(new, b"hash", hashed.to_bytes(SUBJECT_BYTES, "big"))[:SUBJECT_BYTES], "big")


def rehashed_pair(new: bytes, hashed: int) -> int:
    """The same of a pair's hash."""
    own = int.from_bytes(_again(new, b"pair", hashed.to_bytes(SUBJECT_BYTES, "big"))[:SUBJECT_BYTES], "big")
    return _rehashed_user(new, hashed >> PAIR_BITS) << PAIR_BITS | own & (1 << PAIR_BITS) - 1


def rehashed_fingerprint(new: bytes, known: int) -> int:
    """The same of the first 4 bytes of a fingerprint; 0 stays, which says that it is not known."""
    again = _again(new, b"fingerprint", known.to_bytes(_FINGERPRINT_BYTES, "big"))[:_FINGERPRINT_BYTES]
    return int.from_bytes(again, "big") if known else 0


def rehashed_event(new: bytes, event: Event) -> Event:
    """The same of an event as a manifest names it."""
    known = event.fingerprint and _again(new, b"fingerprint", bytes.fromhex(event.fingerprint)[:_FINGERPRINT_BYTES])
    return Event(
        hash=_again(new, b"hash", bytes.fromhex(event.hash)[:SUBJECT_BYTES]).hex(),
        fingerprint=known.hex()[:FINGERPRINT_DIGITS] if known else None,
    )


def _rehashed_user(new: bytes, above: int) -> int:
    size = SUBJECT_BYTES - PAIR_BITS // 8
    return int.from_bytes(_again(new, b"user", above.to_bytes(size, "big"))[:size], "big")


def _starts(key: bytes) -> list[bytes]:
    """A key, and those that it was rotated from, the oldest first."""
    return [key[:end] for end in range(KEY_BYTES, len(key) + 1, KEY_BYTES)]


def _keys(key: bytes) -> list[bytes]:
    return [key[start : start + KEY_BYTES] for start in range(0, len(key), KEY_BYTES)]


def _again(key: bytes, kind: bytes, hashed: bytes) -> bytes:
    return keyed(key, b"%b %b" % (kind, hashed))
