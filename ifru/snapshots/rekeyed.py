"""The key of hashes is rotated: the next version has all of them made anew, by one more key.

Hashes are hashed again, since nobody has the ids that they were made of. Axes: N requests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ifru.snapshots.answered import AnswerRows, Remembered, Run
from ifru.snapshots.by_command import change_to
from ifru.snapshots.change import Change, FullState
from ifru.snapshots.hash_key import (
    key_id,
    rehashed,
    rehashed_event,
    rehashed_fingerprint,
    rehashed_pair,
)
from ifru.snapshots.holding import Holding
from ifru.snapshots.ledger_runs import remembered
from ifru.snapshots.parts import Event, Held
from ifru.snapshots.reader import Reader
from ifru.snapshots.suppressed import KINDS, NOBODY, Suppressed
from ifru.snapshots.version import Version


def rekeyed(reader: Reader, newest: Version, key: bytes, new: bytes) -> Change:
    """The newest version once more, as a full one. key: of its hashes. new: the key that is added to it.

    All that is remembered of requests goes into one segment. Raises CorruptFile, StoreError.
    """
    manifest = newest.manifest
    runs = [run for _, run in reader.answered(manifest)]
    answered = Run.merged([*runs, remembered(reader, manifest, key).added])
    pending = [_line(json.loads(line), new) for line in reader.pending(manifest)]
    held = [Held(**dict(rehashed_event(new, each)), since=each.since, reason=each.reason) for each in manifest.held]
    state = FullState(
        manifest.model,
        newest.parameters,
        newest.dataset,
        newest.propagated,
        newest.buffers,
        newest.stored_features,
    )
    change = change_to(
        state,
        reader,
        manifest,
        manifest.residual,
        manifest.quality,
        Remembered([], _run(answered, new), manifest.version),
        _suppressed(reader.suppressed(manifest).standing, new),
    )
    holding = Holding(held, pending, manifest.erased_recently)
    return replace(change, holding=holding, hash_key_id=key_id(key + new))


def _run(run: Run, new: bytes) -> Run:
    rows = run.columns()
    hashes = [rehashed(new, hashed) for hashed in rows.hash.tolist()]
    known = [rehashed_fingerprint(new, each) for each in rows.fingerprint.tolist()]
    changed = {"hash": np.array(hashes, dtype=np.uint64), "fingerprint": np.array(known, dtype=np.uint32)}
    return Run.of(AnswerRows(**{**vars(rows), **changed}))


def _suppressed(listed: Suppressed, new: bytes) -> Suppressed:
    pair = KINDS.index("pair")
    again = [
        (rehashed_pair if kind == pair else rehashed)(new, hashed)
        for kind, hashed in zip(listed.kind.tolist(), listed.hash.tolist(), strict=True)
    ]
    # Sorts them.
    return NOBODY.then(replace(listed, hash=np.array(again, dtype=np.uint64)))


def _line(said: Mapping[str, object], new: bytes) -> bytes:
    """A held request, as the store has it; only its fingerprint follows from the key."""
    known = said.get("fingerprint")
    if not isinstance(known, str):
        return json.dumps(said).encode()
    event = rehashed_event(new, Event(hash="00" * 8, fingerprint=known))
    return json.dumps({**said, "fingerprint": event.fingerprint}).encode()
