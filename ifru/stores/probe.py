"""Whether a store keeps the one promise that the commit rests on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ifru.stores.errors import AlreadyExists, StoreError
from ifru.stores.store import Store

RIVALS = 4
"""Creations that are sent at once: some stores check first and write later, which only a race shows."""


def probe(store: Store, name: str) -> None:
    """Try whether of several creations of one file at most one succeeds, and none after that.

    name: one that was never used before. Raises StoreError where it is not so, and where the store does not answer.
    """
    path = f"probe/{name}"

    def created(rival: int) -> bool:
        try:
            store.create(path, str(rival).encode())
        except AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(RIVALS) as pool:
        winners = sum(pool.map(created, range(RIVALS)))
    again = created(RIVALS)
    store.delete(path)
    if winners > 1 or again:
        raise StoreError(
            f"conditional writes are not supported by this store: {winners + again} of {RIVALS + 1} creations of "
            f"{path} succeeded, where at most one may; use a store (or a version of it) that honours If-None-Match: *"
        )
