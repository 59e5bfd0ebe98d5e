"""Requests that erased something, as the ledgers of versions tell it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ifru.snapshots.documents import decode_json
from ifru.snapshots.errors import CorruptFile, NoVersion
from ifru.snapshots.format import Manifest
from ifru.snapshots.reader import READERS, Reader


@dataclass(frozen=True)
class Erasure:
    """A request that a version answered by erasing something. source, request_id: as its receipt says."""

    source: str
    request_id: str
    version: int


def waiting(reader: Reader, newest: Manifest) -> tuple[Erasure, ...]:
    """What the files of the newest version's base still hold, and the next full version will not.

    Raises CorruptFile, StoreError.
    """
    return tuple(erasures(reader, range(newest.base + 1, newest.version + 1)))


def erasures(reader: Reader, versions: Iterable[int]) -> Iterator[Erasure]:
    """What versions have erased, in their order. Raises CorruptFile for a ledger that holds no receipts."""
    with ThreadPoolExecutor(READERS) as pool:
        for found in pool.map(lambda version: _of(reader, version), versions):
            yield from found


def _of(reader: Reader, version: int) -> list[Erasure]:
    try:
        receipts = [decode_json(line) for line in reader.receipts(version)]
        return [
            Erasure(receipt.get("source", ""), receipt["request_id"], version)
            for receipt in receipts
            if receipt.get("state") == "published" and receipt.get("version") == version and receipt.get("erased", True)
        ]
    except NoVersion:
        # Format 1 let a collector remove the ledger as well.
        return []
    except (ValueError, KeyError, AttributeError) as error:
        raise CorruptFile(f"the ledger of version {version}", "holds no receipts") from error
