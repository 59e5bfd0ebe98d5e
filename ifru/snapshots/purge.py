"""What collectors write down: up to which version all that was erased is gone from the store."""

from __future__ import annotations

import re

from pydantic import AwareDatetime, PositiveInt, ValidationError

from ifru.snapshots.documents import decode_json
from ifru.snapshots.errors import CorruptFile
from ifru.snapshots.format import Tombstone, decode_manifest, manifest_path
from ifru.snapshots.parts import Part, Sha256
from ifru.stores.errors import AlreadyExists, NotFound
from ifru.stores.store import Store

PURGES = "purged"


class Purge(Part):
    """No file holds what requests of versions up to this one have erased.

    version: a full one; the oldest that any version that is left stands on. sha256: of its manifest. time: of finding.
    """

    version: PositiveInt
    sha256: Sha256
    time: AwareDatetime

    @property
    def path(self) -> str:
        return f"{PURGES}/{self.version:012d}.json"


def create_purge(store: Store, purge: Purge) -> None:
    """Write it down; the first one about a version stays, unless it is of another history. Raises StoreError."""
    data = purge.model_dump_json().encode()
    try:
        store.create(purge.path, data)
    except AlreadyExists:
        if purge.sha256.encode() not in store.get(purge.path):
            store.put(purge.path, data)


def purge_version(path: str) -> int | None:
    """The version of a path among the purges; None for anything else."""
    match = re.fullmatch(rf"{PURGES}/(\d{{12}})\.json", path)
    return None if match is None else int(match[1])


def newest_purge(store: Store) -> Purge | None:
    """The newest that is about the versions of this store, and not about those of a backup's other history.

    Raises CorruptFile for one that cannot be read, StoreError.
    """
    for path in reversed(store.list(PURGES)):
        if purge_version(path) is None:
            continue
        try:
            purge = Purge.model_validate(decode_json(store.get(path)))
        except NotFound:
            # A collector has written a newer one since.
            continue
        except (ValueError, ValidationError) as error:
            raise CorruptFile(path, "does not say what was purged") from error
        if _of_this_history(store, purge):
            return purge
    return None


def _of_this_history(store: Store, purge: Purge) -> bool:
    try:
        data = store.get(manifest_path(purge.version))
    except NotFound:
        return False
    found = decode_manifest(data, purge.version)
    return found.sha256 == purge.sha256 and (isinstance(found, Tombstone) or found.kind == "full")
