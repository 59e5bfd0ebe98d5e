"""Writing versions. `docs/protocol.md` lists the races that the order of the steps answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime

from ifru.interactions import Dataset
from ifru.models.config import ModelConfig
from ifru.objective.parameters import Parameters
from ifru.snapshots.change import Change, FullState, delta_contents, full_contents, merged_positions
from ifru.snapshots.errors import CommitLost, CommitUnknown, CorruptFile, NotFound, StoreError
from ifru.snapshots.format import (
    HEAD,
    MANIFESTS,
    Manifest,
    Residual,
    Role,
    Tombstone,
    decode_manifest,
    describe,
    encode_head,
    encode_manifest,
    manifest_path,
)
from ifru.snapshots.hash_key import KEY_BYTES, create_hash_key
from ifru.snapshots.ledger import encode_ledger
from ifru.snapshots.numbering import Numbering
from ifru.stores.store import Store

SETTLE_ROUNDS = 3
"""How often a manifest is created again where the store refused it and yet has none: S3 answers 409 in some races."""


class Writer:
    """Writes versions to a prefix. Of several writers one succeeds with each version; the others are told so.

    A writer serves one data set in memory: the one given to `start`, or the one that was loaded for it.

    clock: the time of day, with a time zone. attempts: a new name for each call, which no writer ever used before.
    random_bytes: so many unguessable bytes.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime],
        attempts: Callable[[], str],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._clock = clock
        self._attempts = attempts
        self._random_bytes = random_bytes
        self._numbering = Numbering.same()

    def start(
        self,
        config: ModelConfig,
        tables: Parameters,
        dataset: Dataset,
        quality: Mapping[str, float],
        residual: Residual,
    ) -> Manifest:
        """Publish version 1 on an empty prefix, and the key for event hashes with it.

        Raises StoreError where the prefix has versions or the store fails (version 1 is not committed then),
        CommitLost, CommitUnknown.
        """
        if used := self._store.list(MANIFESTS):
            raise StoreError(
                f"the prefix is in use, {used[-1]} exists: a model is started on an empty prefix; "
                "name another one, or continue with the versions of this one"
            )
        create_hash_key(self._store, self._random_bytes(KEY_BYTES))
        contents = full_contents(FullState(tables, dataset), config) | {"ledger": encode_ledger(None, ())}
        attempt = self._attempts()
        manifest = Manifest(
            version=1,
            parent=None,
            base=1,
            kind="full",
            attempt=attempt,
            time=self._clock(),
            model=config,
            files=tuple(describe(role, 1, attempt, data) for role, data in contents.items()),
            positions={},
            events=(),
            residual=residual,
            retained=dataset.train.retained,
            holdout=dataset.holdout.retained,
            quality=dict(quality),
        )
        self._publish(manifest, contents)
        self._numbering = Numbering.of(dataset)
        return manifest

    def commit(self, parent: Manifest, change: Change) -> Manifest:
        """Publish the version after `parent`.

        1. Encode the files: a delta or the whole state, and the ledger, chained to the parent's.
        2. Put them, all at once, under folders that name this attempt. Nobody reads them yet.
        3. Create the manifest, if absent. This is the commit.
        4. Where the store did not say that it did: read the manifest back. Ours, another's, or none?
        5. Write the hint that this version is the newest.

        Raises ValueError or StoreError before step 3: nothing was committed, and it can be tried again. After that
        CommitLost, or CommitUnknown where the store answers neither. Step 5 never fails a commit.
        """
        # 1
        contents = self._contents(parent, change)
        manifest = self._successor(parent, change, contents)
        # 2, 3, 4, 5
        self._publish(manifest, contents)
        if change.full is not None:
            self._numbering = Numbering.of(change.full.dataset)
        return manifest

    def _contents(self, parent: Manifest, change: Change) -> dict[Role, bytes]:
        ledger: dict[Role, bytes] = {"ledger": encode_ledger(parent.file("ledger").sha256, change.receipts)}
        if change.full is not None:
            return full_contents(change.full, parent.model) | ledger
        return delta_contents(change, parent.model, self._numbering) | ledger

    def _successor(self, parent: Manifest, change: Change, contents: Mapping[Role, bytes]) -> Manifest:
        version, attempt, full = parent.version + 1, self._attempts(), change.full
        if full is None:
            retained = parent.retained - len(change.deletion.train)
            holdout = parent.holdout - len(change.deletion.holdout)
        else:
            retained, holdout = full.dataset.train.retained, full.dataset.holdout.retained
        return Manifest(
            version=version,
            parent=parent.version,
            base=parent.base if full is None else version,
            kind="delta" if full is None else "full",
            attempt=attempt,
            time=self._clock(),
            model=parent.model,
            files=tuple(describe(role, version, attempt, data) for role, data in contents.items()),
            positions=merged_positions(parent.positions, change.positions),
            events=tuple(change.events),
            residual=change.residual,
            retained=retained,
            holdout=holdout,
            quality=dict(change.quality),
        )

    def _publish(self, manifest: Manifest, contents: Mapping[Role, bytes]) -> None:
        # 2
        with ThreadPoolExecutor(len(contents)) as pool:
            list(pool.map(self._store.put, [file.path for file in manifest.files], contents.values()))
        # 3, 4
        self._create(manifest)
        # 5: a hint that is missing or old costs readers a few requests, and the next commit writes it again.
        with suppress(StoreError):
            self._store.put(HEAD, encode_head(manifest.version))

    def _create(self, manifest: Manifest) -> None:
        path, body = manifest_path(manifest.version), encode_manifest(manifest)
        for _ in range(SETTLE_ROUNDS):
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
        raise CommitUnknown(manifest.version, manifest.attempt, f"the store has no manifest and says: {reason}")

    def _found_own(self, manifest: Manifest, reason: StoreError) -> bool:
        """Whether our manifest is there; False where none is."""
        version, attempt = manifest.version, manifest.attempt
        try:
            found = decode_manifest(self._store.get(manifest_path(version)), version)
        except NotFound:
            return False
        except (StoreError, CorruptFile) as error:
            raise CommitUnknown(version, attempt, f"{reason}; then, reading it back: {error}") from error
        if isinstance(found, Tombstone):
            raise CommitLost(version, None) from reason
        if found.attempt != attempt:
            raise CommitLost(version, found.attempt) from reason
        return True
