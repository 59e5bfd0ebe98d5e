"""Writing versions. `docs/protocol.md` lists the races that the order of the steps answers."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import count

from ifru.errors import IfruError
from ifru.snapshots.change import Change, FullState, delta_contents, full_contents
from ifru.snapshots.errors import CommitLost, CommitUnknown
from ifru.snapshots.format import (
    HEAD,
    MANIFESTS,
    Manifest,
    Tombstone,
    decode_manifest,
    encode_head,
    encode_manifest,
    manifest_path,
)
from ifru.snapshots.hash_key import KEY_BYTES, create_hash_key, key_id, read_hash_key
from ifru.snapshots.holding import Holding, encode_pending
from ifru.snapshots.kept import check_kept
from ifru.snapshots.ledger import encode_ledger
from ifru.snapshots.numbering import Numbering
from ifru.snapshots.parquet import encode_answered, encode_suppressed
from ifru.snapshots.parts import Event, File, Residual, Role
from ifru.snapshots.sources import merged
from ifru.snapshots.tensors import tables_of
from ifru.stores.errors import NotFound, StoreError
from ifru.stores.store import Store

SETTLE_ROUNDS = 3
"""How often a manifest is created again where the store refused it and yet has none: S3 answers 409 in some races."""


class Writer:
    """Writes versions to a prefix. Of several writers one succeeds with each version; the others are told so.

    A writer serves one data set in memory: the one given to `start`, or the one that was loaded for it.

    clock: the time of day, with a time zone. attempts: a new name for each call, which no writer ever used before.
    random_bytes: so many unguessable bytes. persist(error): asked where the store failed within a commit whether the
    same step is tried again, and again; it may wait before it answers. hash_key: of the hashes in versions, where it is
    not to be kept with them; only read for version 1.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime],
        attempts: Callable[[], str],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        persist: Callable[[StoreError], bool] = lambda error: False,
        hash_key: bytes | None = None,
    ) -> None:
        self._store = store
        self._persist = persist
        self._clock = clock
        self._attempts = attempts
        self._random_bytes = random_bytes
        self._hash_key = hash_key
        self._numbering = Numbering.same()
        self._newest: str | None = None
        self._hint: bytes | None = None

    def start(self, state: FullState, quality: Mapping[str, float], residual: Residual) -> Manifest:
        """Publish version 1 on an empty prefix, and the key for event hashes with it.

        Raises ValueError for a state that cannot be stored, StoreError where the prefix has versions or the store fails
        (version 1 is not committed then), CorruptFile for a key that is none, CommitLost, CommitUnknown.
        """
        if used := self._store.list(MANIFESTS):
            raise StoreError(
                f"the prefix is in use, {used[-1]} exists: a model is started on an empty prefix; "
                "name another one, or continue with the versions of this one"
            )
        if self._hash_key is None:
            create_hash_key(self._store, self._random_bytes(KEY_BYTES))
        contents = full_contents(state) | {"ledger": encode_ledger(None, ())}
        attempt = self._attempts()
        manifest = Manifest(
            version=1,
            parent=None,
            base=1,
            kind="full",
            attempt=attempt,
            time=self._clock(),
            model=state.config,
            tables=tables_of(state.parameters),
            files=tuple(File.of(role, 1, attempt, data) for role, data in contents.items()),
            sources={},
            events=(),
            hash_key_id=key_id(self._hash_key or read_hash_key(self._store)),
            residual=residual,
            retained=state.dataset.train.retained,
            holdout=state.dataset.holdout.retained,
            quality=dict(quality),
        )
        manifest = self._publish(manifest, contents, state)
        self.hint()
        return manifest

    def commit(self, parent: Manifest, change: Change, hint: bool = True) -> Manifest:
        """Publish the version after `parent`. hint: whether step 5 is done at once, and not by `hint`.

        1. Encode the files: a delta or the whole state, and the ledger, chained to the parent's.
        2. Put them, all at once, under folders that name this attempt. Nobody reads them yet. Look at the same time
           whether the store still has the parent: nothing follows a version that a restored backup has taken away.
        3. Create the manifest, if absent. This is the commit.
        4. Where the store did not say that it did: read the manifest back. Ours, another's, or none?
        5. Write the hint that this version is the newest.

        Where the store fails in 2 to 4, the same step is tried again for as long as the writer persists.
        Raises ValueError or StoreError before step 3: nothing was committed, and it can be tried again; HistoryReplaced
        where the parent is gone. After that CommitLost, or CommitUnknown where the store answers neither. Step 5 never
        fails a commit.
        """
        # 1
        contents = self._contents(parent, change)
        manifest = self._successor(parent, change, contents)
        # 2, 3, 4
        manifest = self._publish(manifest, contents, change.full, parent)
        if hint:
            self.hint()
        return manifest

    def hint(self) -> None:
        """5: a hint that is missing or old costs readers a few requests, and the next commit writes it again."""
        if self._hint is not None:
            with suppress(StoreError):
                self._store.put(HEAD, self._hint)
            self._hint = None

    def reloaded(self) -> None:
        """From now on the data set in memory is one that was read from the newest version."""
        self._numbering = Numbering.same()

    def _contents(self, parent: Manifest, change: Change) -> dict[Role, bytes]:
        besides: dict[Role, bytes] = {"ledger": encode_ledger(parent.file("ledger").sha256, change.receipts)}
        if change.answered is not None and len(change.answered.added):
            besides["answered"] = encode_answered(change.answered.added)
        if change.holding is not None and change.holding.pending:
            pending = encode_pending(change.holding.pending)
            if parent.pending is None or parent.pending.sha256 != hashlib.sha256(pending).hexdigest():
                besides["pending"] = pending
        if len(change.suppressed):
            besides["suppressed"] = encode_suppressed(change.suppressed)
        if change.full is not None:
            return full_contents(change.full) | besides
        return delta_contents(change, parent, self._numbering) | besides

    def _successor(self, parent: Manifest, change: Change, contents: Mapping[Role, bytes]) -> Manifest:
        version, attempt, full, now = parent.version + 1, self._attempts(), change.full, self._clock()
        if full is None:
            retained = parent.retained - len(change.deletion.train)
            holdout = parent.holdout - len(change.deletion.holdout)
        else:
            retained, holdout = full.dataset.train.retained, full.dataset.holdout.retained
        files = {role: File.of(role, version, attempt, data) for role, data in contents.items()}
        # Later versions name them as well, so they are none of the files that go with this one.
        added, pending = files.pop("answered", None), files.pop("pending", None)
        holding = change.holding or Holding(parent.held, (), parent.erased_recently)
        return Manifest(
            version=version,
            parent=parent.version,
            parent_sha256=parent.sha256,
            base=parent.base if full is None else version,
            kind="delta" if full is None else "full",
            attempt=attempt,
            # Whoever did not write the parent takes over.
            epoch=parent.epoch + (parent.sha256 != self._newest),
            claims=(parent.claims or parent.version) if change.claim else None,
            time=now,
            model=parent.model if full is None else full.config,
            tables=parent.tables if full is None else tables_of(full.parameters),
            files=tuple(files.values()),
            sources=merged(parent.sources, change.positions),
            events=tuple(Event.model_validate(event) for event in change.events),
            answered=parent.answered if change.answered is None else change.answered.segments(added),
            held=tuple(holding.held),
            pending=pending or (parent.pending if holding.held else None),
            erased_recently=tuple(holding.erased_recently),
            candidate=change.candidate,
            hash_key_id=change.hash_key_id or parent.hash_key_id,
            oldest_erasure=None if full else parent.oldest_erasure or (now if len(change.deletion) else None),
            purged=max(parent.purged, change.purged),
            residual=change.residual,
            retained=retained,
            holdout=holdout,
            quality=dict(change.quality),
            proof=change.proof or parent.proof,
        )

    def _publish(
        self,
        manifest: Manifest,
        contents: Mapping[Role, bytes],
        full: FullState | None,
        parent: Manifest | None = None,
    ) -> Manifest:
        # 2
        paths = {file.role: file.path for file in (*manifest.files, *manifest.shared)}
        steps = [partial(self._store.put, paths[role], content) for role, content in contents.items()]
        self._all_at_once(steps if parent is None else [*steps, partial(check_kept, self._store, parent)])
        # 3, 4
        body = encode_manifest(manifest)
        self._create(manifest, body)
        self._newest = hashlib.sha256(body).hexdigest()
        self._hint = encode_head(manifest.version, self._newest)
        if full is not None:
            self._numbering = Numbering.of(full.dataset)
        return manifest.model_copy(update={"sha256": self._newest})

    def _all_at_once(self, steps: Sequence[Callable[[], None]]) -> None:
        """Requests to the store; those that fail again, for as long as it is worth persisting."""
        with ThreadPoolExecutor(len(steps)) as pool:
            while steps:
                failed: list[tuple[Callable[[], None], StoreError]] = []
                for step, sent in [(step, pool.submit(step)) for step in steps]:
                    try:
                        sent.result()
                    except StoreError as error:
                        failed.append((step, error))
                if failed and not self._persist(failed[0][1]):
                    raise failed[0][1]
                steps = [step for step, _ in failed]

    def _create(self, manifest: Manifest, body: bytes) -> None:
        path = manifest_path(manifest.version)
        for tries in count(1):
            # 3
            try:
                self._store.create(path, body)
                return
            except StoreError as error:
                # An error is no proof that the manifest was not created, and a refusal none that it is another's:
                # clients repeat a request whose answer was lost.
                reason = error
            # 4
            if self._found_own(manifest, reason):
                return
            if tries >= SETTLE_ROUNDS and not self._persist(reason):
                raise CommitUnknown(manifest.version, manifest.attempt, f"the store has no manifest and says: {reason}")

    def _found_own(self, manifest: Manifest, reason: StoreError) -> bool:
        """Whether our manifest is there; False where none is."""
        version, attempt = manifest.version, manifest.attempt
        while True:
            try:
                found = decode_manifest(self._store.get(manifest_path(version)), version)
                break
            except NotFound:
                return False
            except IfruError as error:
                if not isinstance(error, StoreError) or not self._persist(error):
                    raise CommitUnknown(version, attempt, f"{reason}; then, reading it back: {error}") from error
        if isinstance(found, Tombstone):
            raise CommitLost(version, None) from reason
        if found.attempt != attempt:
            raise CommitLost(version, found.attempt) from reason
        return True
