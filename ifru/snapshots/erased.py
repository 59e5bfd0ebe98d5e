"""Which version answered a request, and what it deleted: versions name no subject, but they can be compared.

Axes: M pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ifru.errors import IfruError
from ifru.interactions.table import Int64
from ifru.snapshots.answered import short_hashes
from ifru.snapshots.errors import NoVersion
from ifru.snapshots.format import Manifest
from ifru.snapshots.hash_key import event_hash
from ifru.snapshots.parts import Event
from ifru.snapshots.reader import Reader
from ifru.snapshots.version import Version


@dataclass(frozen=True)
class Erased:
    """What one version deleted of what the model was trained on.

    before: the version before it. user, item [M]: numbers of the pairs that were recorded before and are not any more.
    requests: how many the version answered; the pairs are those of all of them.
    """

    version: int
    before: Version
    user: Int64
    item: Int64
    requests: int


def erased_by(reader: Reader, key: bytes, source: str, request: str) -> Erased:
    """What the version deleted that answered a request. key: of the store.

    Raises IfruError where no version is known to have answered it, or where that version or the one before it was
    collected, and as reading does.
    """
    number = _answering(reader, Event(hash=event_hash(key, source, request)))
    if number is None:
        raise IfruError("no version is known to have answered this request; check its id and --source")
    try:
        manifest, before = reader.manifest(number), reader.load(number - 1)
    except NoVersion as error:
        raise IfruError(
            f"version {number} answered this request, and what it deleted is not known any more ({error}); "
            "name the pairs by --pairs"
        ) from error
    user, item = erased_between(before, reader.advance(before, number))
    if len(user) == 0:
        raise IfruError(f"version {number} answered this request, and deleted nothing that the model was trained on")
    return Erased(number, before, user, item, len(manifest.events))


def erased_between(before: Version, after: Version) -> tuple[Int64, Int64]:
    """Numbers of users and items [M] of the pairs that are recorded in a version, and not any more in a later one."""
    gone = np.setdiff1d(_pairs(before), _pairs(after))
    user, item = np.divmod(gone, before.dataset.train.items)
    return user, item


def _answering(reader: Reader, event: Event) -> int | None:
    newest = reader.manifest(reader.newest())
    stored = newest.answered[-1].last if newest.answered else 0
    for number in range(newest.version, stored, -1):
        try:
            manifest: Manifest = newest if number == newest.version else reader.manifest(number)
        except NoVersion:
            break
        if event.hash in manifest.hashes:
            return number
    for _, run in reversed(list(reader.answered(newest))):
        (place,) = run.find(short_hashes([event]))
        if place >= 0:
            return run.first(int(place)).version
    return None


def _pairs(version: Version) -> Int64:
    """Recorded and retained pairs as single numbers."""
    table = version.dataset.train
    rows = np.flatnonzero(table.recorded & table.alive)
    pairs: Int64 = np.unique(table.user[rows].astype(np.int64) * table.items + table.item[rows])
    return pairs
