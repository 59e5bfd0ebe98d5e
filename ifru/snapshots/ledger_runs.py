"""What versions have answered, read from their ledgers, which keep it until a segment does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import cast

from ifru.snapshots.answered import NOTHING, Remembered, Run, State
from ifru.snapshots.errors import NoVersion
from ifru.snapshots.format import Manifest
from ifru.snapshots.hash_key import event_hash
from ifru.snapshots.life import Answer
from ifru.snapshots.parts import Event
from ifru.snapshots.reader import READERS, Reader


def stored_up_to(newest: Manifest) -> int:
    """What versions up to this one have answered is in a segment, or need not be remembered; 0 where there is none."""
    return newest.answered[-1].last if newest.answered else 0


def answered_by(reader: Reader, key: bytes, version: int) -> Run:
    """What a version answered; nothing where an old collector removed its ledger. Raises CorruptFile, StoreError."""
    try:
        events, lines = reader.answers(version)
    except NoVersion:
        return NOTHING
    known = {event.hash: event for event in events}
    # Behind the receipts of its own it repeats older ones.
    own = [answer for answer in map(Answer.model_validate_json, lines) if answer.version == version]
    if not own:
        return NOTHING
    hashes = [event_hash(key, answer.source, answer.request_id) for answer in own]
    return Run.of_version(
        version,
        own[0].time,
        next((answer.residual_influence for answer in own if answer.state == "published"), None),
        [known.get(hashed, Event(hash=hashed)) for hashed in hashes],
        [_state(answer) for answer in own],
    )


def remembered(reader: Reader, newest: Manifest, key: bytes) -> Remembered:
    """What the full version after the newest stores: all that was answered since the newest segment.

    The manifests up to the next full version may be collected, and with them what requests asked for (fingerprints).
    Raises CorruptFile, StoreError.
    """
    versions = range(stored_up_to(newest) + 1, newest.version + 1)
    with ThreadPoolExecutor(READERS) as pool:
        runs = list(pool.map(partial(answered_by, reader, key), versions))
    return Remembered(newest.answered, Run.merged(runs), newest.version)


def _state(answer: Answer) -> State:
    return cast("State", "near_miss" if answer.near_miss else answer.state if answer.erased else "granted")
