"""Reads from the store which requests were answered: its segments, and the ledgers of newer versions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

from ifru.snapshots import Event, Manifest, NoVersion, Reader, Run, event_hash
from ifru.snapshots.answered import NOTHING
from ifrud.freed import release_freed
from ifrud.requests.answered import Answered
from ifrud.requests.receipts import Receipt

READERS = 8
"""Versions that are read at once."""

CHUNK = 16 * READERS
"""Versions after which it is looked whether older ones need to be read."""


def load_answered(
    reader: Reader, newest: Manifest, key: bytes, days: float, now: datetime, beat: Callable[[], None] = lambda: None
) -> Answered:
    """Requests that the versions up to the newest one have answered, in the last `days` days at least.

    Where an older release wrote no segments, the ledgers of all these days are read. beat(): called again and again.
    Raises StoreError or CorruptFile.
    """
    answered = Answered(key, days)
    for segment, run in reader.answered(newest):
        answered.load(segment, run)
        beat()
    stored = newest.answered[-1].last if newest.answered else 0
    runs: list[Run] = []
    last = newest.version
    with ThreadPoolExecutor(READERS) as pool:
        while last > stored:
            first = max(stored + 1, last - CHUNK + 1)
            found = [run for run in pool.map(partial(_run, reader, key), range(last, first - 1, -1)) if len(run)]
            runs += found
            beat()
            if found and found[-1].newest < answered.since(now):
                break
            last = first - 1
    for run in reversed(runs):
        answered.add(run)
    release_freed()
    return answered


def _run(reader: Reader, key: bytes, version: int) -> Run:
    """What a version answered, from its ledger; nothing where an old collector removed that."""
    try:
        events, lines = reader.answers(version)
    except NoVersion:
        return NOTHING
    known = {event.hash: event for event in events}
    # Behind the receipts of its own it repeats older ones.
    receipts = [receipt for receipt in map(Receipt.read, lines) if receipt.version == version]
    if not receipts:
        return NOTHING
    hashes = [event_hash(key, *receipt.request) for receipt in receipts]
    return Run.of_version(
        version,
        receipts[0].time,
        next((receipt.residual_influence for receipt in receipts if receipt.state == "published"), None),
        [known.get(hashed, Event(hash=hashed)) for hashed in hashes],
        [receipt.answer for receipt in receipts],
    )
