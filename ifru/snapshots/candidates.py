"""Candidates: full states that somebody else computed, left beside the versions for their writer to adopt.

The data that a candidate was made from may be older than the newest version. Whoever adopts one therefore erases
everything on the suppression list from it, before it becomes a version.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from ifru.snapshots.change import FullState, full_contents
from ifru.snapshots.decoding import full_roles, full_version, verify
from ifru.snapshots.documents import decode_json
from ifru.snapshots.errors import CorruptFile, OutdatedCandidate
from ifru.snapshots.examination import check_all_finite
from ifru.snapshots.format import Manifest, Tombstone, decode_manifest, encode_manifest
from ifru.snapshots.parts import File, Residual
from ifru.snapshots.purge import newest_purge
from ifru.snapshots.reader import Reader
from ifru.snapshots.tensors import tables_of
from ifru.snapshots.version import Version
from ifru.snapshots.writer import SETTLE_ROUNDS
from ifru.stores.errors import AlreadyExists, NotFound, StoreError
from ifru.stores.store import Store

CANDIDATES = "candidates"
"""Folder of models that may become versions, in a folder each."""

_DESCRIPTOR, _REJECTION = "candidate.json", "rejected.json"


def leave(
    store: Store,
    name: str,
    cut: Manifest,
    state: FullState,
    residual: Residual,
    quality: Mapping[str, float],
    time: datetime,
) -> Manifest:
    """Leave a candidate: its files, then a descriptor that names them. Returns the descriptor.

    name: one that was never used before. cut: the version whose suppression list and data it was made with.
    The descriptor is the manifest of the full version that would follow `cut`. Raises ValueError for a state that
    cannot be stored, OutdatedCandidate, StoreError.
    """
    purge = newest_purge(store)
    if purge is not None and purge.version > cut.version:
        raise OutdatedCandidate(name, cut.version, purge.version)
    contents, version = full_contents(state), cut.version + 1
    files = {role: File.of(role, version, name, data) for role, data in contents.items()}
    placed = [
        file.model_copy(update={"path": f"{CANDIDATES}/{name}/{file.path.rpartition('/')[2]}"})
        for file in files.values()
    ]
    descriptor = Manifest(
        version=version,
        parent=cut.version,
        parent_sha256=cut.sha256,
        base=version,
        kind="full",
        attempt=name,
        time=time,
        model=state.config,
        tables=tables_of(state.parameters),
        files=tuple(placed),
        sources={},
        events=(),
        residual=residual,
        retained=state.dataset.train.retained,
        holdout=state.dataset.holdout.retained,
        quality=dict(quality),
    )
    for file in placed:
        store.put(file.path, contents[file.role])
    _describe(store, name, descriptor)
    if was_rejected(store, name):
        # A collector has removed what was written so far.
        discard(store, name)
        raise OutdatedCandidate(name, cut.version, newest.version if (newest := newest_purge(store)) else cut.version)
    return descriptor


def _describe(store: Store, name: str, descriptor: Manifest) -> None:
    for _ in range(SETTLE_ROUNDS):
        try:
            store.create(_path(name, _DESCRIPTOR), encode_manifest(descriptor))
            return
        except AlreadyExists as error:
            # Only this call uses the name; but some stores refuse a creation though there is nothing.
            refusal = error
            if store.exists(_path(name, _DESCRIPTOR)):
                return
    raise refusal


def new_name(cut: Manifest) -> str:
    """A name that was never used before. A collector tells by its number whether what is being written is of use."""
    return f"{cut.version:012d}-{uuid.uuid4().hex}"


def cut_of(store: Store, name: str) -> int:
    """The version that a candidate was made from; 0 where neither its name nor a descriptor says. Raises StoreError."""
    if re.match(r"\d{12}-", name):
        return int(name[:12])
    try:
        return int(decode_json(store.get(_path(name, _DESCRIPTOR)))["parent"])
    except (NotFound, ValueError, KeyError, TypeError):
        return 0


def is_rejection(path: str) -> bool:
    """Whether a file of a candidate says why it was refused."""
    return path.rpartition("/")[2] == _REJECTION


def waiting(store: Store) -> list[str]:
    """Names of the candidates that lie in a store, in no particular order. Raises StoreError."""
    paths = [path.split("/") for path in store.list(CANDIDATES)]
    return [parts[1] for parts in paths if len(parts) == 3 and parts[2] == _DESCRIPTOR]


def was_rejected(store: Store, name: str) -> bool:
    """Whether a candidate was refused, and only its data may still be there. Raises StoreError."""
    return store.exists(_path(name, _REJECTION))


def describe(store: Store, name: str) -> Manifest | None:
    """The descriptor of a candidate; None where it is not there any more.

    Raises CorruptFile, UnknownModel, StoreError.
    """
    path = _path(name, _DESCRIPTOR)
    try:
        data = store.get(path)
    except NotFound:
        return None
    try:
        found = decode_manifest(data, decode_json(data)["version"], path)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFile(path, "is no descriptor of a candidate") from error
    except StoreError as error:
        raise CorruptFile(path, f"is of another format: {error}") from error
    if isinstance(found, Tombstone) or found.kind != "full" or found.attempt != name:
        raise CorruptFile(path, "is no descriptor of this candidate")
    return found


def read(store: Store, descriptor: Manifest) -> Version | None:
    """A candidate, verified; None where it is not there any more. Raises CorruptFile, StoreError."""
    contents, said = {}, _path(descriptor.attempt, _DESCRIPTOR)
    for role in full_roles(descriptor):
        file = descriptor.file(role)
        try:
            contents[role] = store.get(file.path)
        except NotFound as error:
            # Whoever adopts a candidate removes its descriptor before its files.
            if not store.exists(said):
                return None
            raise CorruptFile(file.path, "is missing") from error
        verify(file, contents[role], said)
    found = full_version(descriptor, contents)
    check_all_finite(found)
    return found


def reject(store: Store, name: str, reason: str, time: datetime) -> None:
    """Say beside a candidate why it is not adopted, and remove its data. Can be repeated. Raises StoreError."""
    give_reason(store, name, reason, time)
    discard(store, name)


def give_reason(store: Store, name: str, reason: str, time: datetime) -> None:
    """Say beside a candidate why it is not adopted, unless it was meanwhile; the first reason stays.

    Raises CorruptFile, StoreError.
    """
    document = {"candidate": name, "time": time.isoformat(), "reason": reason}
    with suppress(AlreadyExists):
        store.create(_path(name, _REJECTION), json.dumps(document).encode())
        # Where the descriptor is there yet, whoever adopts it removes the reason after it.
        if not store.exists(_path(name, _DESCRIPTOR)) and _was_adopted(store, name):
            store.delete(_path(name, _REJECTION))


def _was_adopted(store: Store, name: str) -> bool:
    reader = Reader(store)
    entries = (reader.entry(version) for version in range(reader.newest(), cut_of(store, name), -1))
    return any(isinstance(entry, Manifest) and entry.candidate == name for entry in entries)


def discard(store: Store, name: str) -> None:
    """Remove the data of a candidate, its descriptor last. Can be repeated. Raises StoreError."""
    kept = {_path(name, _DESCRIPTOR), _path(name, _REJECTION)}
    for path in store.list(f"{CANDIDATES}/{name}"):
        if path not in kept:
            store.delete(path)
    store.delete(_path(name, _DESCRIPTOR))


def forget(store: Store, name: str) -> None:
    """Remove all of a candidate that became a version, its descriptor first: from then on nobody finds it.

    Can be repeated. Raises StoreError.
    """
    store.delete(_path(name, _DESCRIPTOR))
    discard(store, name)
    # A collector may have refused it at the same time.
    store.delete(_path(name, _REJECTION))


def _path(name: str, file: str) -> str:
    return f"{CANDIDATES}/{name}/{file}"
