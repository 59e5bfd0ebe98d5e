"""Reads from the store which requests were answered: its segments, and the ledgers of newer versions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

from ifru.snapshots import Manifest, Reader, Run
from ifru.snapshots.ledger_runs import answered_by, stored_up_to
from ifrud.freed import release_freed
from ifrud.requests.answered import Answered

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
    stored = stored_up_to(newest)
    runs: list[Run] = []
    last = newest.version
    with ThreadPoolExecutor(READERS) as pool:
        while last > stored:
            first = max(stored + 1, last - CHUNK + 1)
            found = [run for run in pool.map(partial(answered_by, reader, key), range(last, first - 1, -1)) if len(run)]
            runs += found
            beat()
            if found and found[-1].newest < answered.since(now):
                break
            last = first - 1
    for run in reversed(runs):
        answered.add(run)
    release_freed()
    return answered
