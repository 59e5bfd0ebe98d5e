"""Reading versions. Every byte is checked against its manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

from safetensors.torch import load as decode_tensors

from ifru.snapshots.answered import Run
from ifru.snapshots.decoding import decoded, full_roles, full_version, verify
from ifru.snapshots.errors import CorruptFile, ForkedHistory, NoVersion
from ifru.snapshots.format import (
    HEAD,
    MANIFESTS,
    Manifest,
    Tombstone,
    decode_head,
    decode_manifest,
    manifest_path,
    manifest_version,
)
from ifru.snapshots.holding import decode_pending
from ifru.snapshots.kept import check_kept
from ifru.snapshots.ledger import decode_ledger
from ifru.snapshots.parquet import decode_answered, decode_suppressed
from ifru.snapshots.parts import Event, File, Role, Segment
from ifru.snapshots.suppressed import NOBODY, Suppressed
from ifru.snapshots.tensors import Delta, decode_delta, decode_parameters
from ifru.snapshots.version import Version, checked, replay
from ifru.stores.errors import NotFound
from ifru.stores.store import Store

READERS = 8
"""Requests under way at once."""

T = TypeVar("T")


class Reader:
    """Reads the versions of a prefix; writes nothing. All methods raise StoreError where the store fails."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def newest(self) -> int:
        """The newest version. Raises NoVersion on an empty prefix."""
        return self._newest_from(self._hinted() or self._listed())

    def manifest(self, version: int) -> Manifest:
        """Raises NoVersion where there is no such version (any more), CorruptFile, UnknownModel."""
        found = self.entry(version)
        if isinstance(found, Tombstone):
            raise _collected(version)
        return found

    def load(self, version: int | None = None) -> Version:
        """A version, the newest by default: its full version with the deltas on it.

        Raises NoVersion, CorruptFile, ForkedHistory, UnknownModel.
        """
        while version is None:
            newest = self.newest()
            try:
                return self.load(newest)
            except NoVersion:
                # It may have been collected since it was the newest.
                if self.newest() == newest:
                    raise
        target = self.manifest(version)
        base = target if target.kind == "full" else self.manifest(target.base)
        return self._replayed(self._full(base), target)

    def advance(self, held: Version, version: int | None = None) -> Version:
        """A later version, the newest by default, from one that is held, which stays as it is; it itself if that is it.

        Reads only the deltas in between, unless a full version was written since, of whatever model. Raises NoVersion,
        CorruptFile, ForkedHistory, and HistoryReplaced where the store does not have the held version any more, unless
        an older one is asked for; UnknownModel.
        """
        number = held.manifest.version
        wanted = self._newest_from(number) if version is None else version
        if wanted < number:
            return self.load(wanted)
        if wanted == number:
            self.check_kept(held.manifest)
            return held
        try:
            target = self.manifest(wanted)
            if target.parent == number:
                target.check_follows(held.manifest)
            if (target.base, target.model) == (held.manifest.base, held.manifest.model):
                return self._replayed(held.copy(), target)
        except (NoVersion, ForkedHistory):
            self.check_kept(held.manifest)
            raise
        if target.parent != number:
            self.check_kept(held.manifest)
        return self.load(wanted)

    def check_kept(self, manifest: Manifest) -> None:
        """Raises HistoryReplaced where the store does not have a version any more, as it was read or written.

        One that was collected since counts as kept.
        """
        check_kept(self._store, manifest)

    def check_parent(self, manifest: Manifest) -> None:
        """Raises ForkedHistory where a version was not written after the one that is stored before it."""
        if manifest.parent is None:
            return
        try:
            parent = self.entry(manifest.parent)
        except NoVersion as error:
            raise ForkedHistory(manifest_path(manifest.version), f"follows none: {error}") from error
        manifest.check_follows(parent)

    def watch(self, seconds: float, sleep: Callable[[float], None], held: Version | None = None) -> Iterator[Version]:
        """The newest version, then newer ones as they are published, for ever; some may be skipped.

        held: a version to go on from; it is not yielded. seconds: between two looks, spent in `sleep`.
        """
        while True:
            newer = self._newer(held)
            if newer is None:
                sleep(seconds)
            else:
                held = newer
                yield held

    def receipts(self, version: int) -> list[bytes]:
        """The receipts of a version's batch, one JSON document each, also where it was collected.

        Raises NoVersion where there is no such version, or format 1 left no trace of its ledger, CorruptFile.
        """
        return self.answers(version)[1]

    def answers(self, version: int) -> tuple[tuple[Event, ...], list[bytes]]:
        """The requests that a version answered, which are not known where it was collected, and its receipts.

        Raises what `receipts` raises.
        """
        found = self.entry(version)
        events, ledger = ((), found.ledger) if isinstance(found, Tombstone) else (found.events, found.file("ledger"))
        if ledger is None:
            raise _collected(version)
        return events, decode_ledger(self._content(version, ledger))

    def answered(self, manifest: Manifest) -> Iterator[tuple[Segment, Run]]:
        """What a version remembers of requests that older ones answered, the oldest first. Raises CorruptFile."""
        for segment in manifest.answered:
            yield segment, decoded(segment, decode_answered, self._content(manifest.version, segment))

    def pending(self, manifest: Manifest) -> list[bytes]:
        """What the requests ask for that a version holds, a line each. Raises CorruptFile."""
        if manifest.pending is None:
            return []
        return decode_pending(self._content(manifest.version, manifest.pending))

    def suppressed(self, manifest: Manifest) -> Suppressed:
        """Who was erased up to a version, as far as versions say so. Raises NoVersion, CorruptFile."""
        found = NOBODY
        with ThreadPoolExecutor(READERS) as pool:
            for part in pool.map(partial(self._suppressed, manifest), range(manifest.base, manifest.version + 1)):
                found = found.then(part)
        return found

    def _suppressed(self, target: Manifest, version: int) -> Suppressed:
        manifest = target if version == target.version else self.manifest(version)
        return self._read(manifest, "suppressed", decode_suppressed) if manifest.find("suppressed") else NOBODY

    def entry(self, version: int) -> Manifest | Tombstone:
        """The manifest of a version, or what is left of it. Raises NoVersion where there never was one, CorruptFile."""
        path = manifest_path(version)
        try:
            return decode_manifest(self._store.get(path), version)
        except NotFound as error:
            raise NoVersion(f"there is no version {version}: {path} does not exist") from error

    def _newest_from(self, version: int) -> int:
        # Versions have no gaps and manifests are never deleted, so the end is found by trying the next one.
        while self._store.exists(manifest_path(version + 1)):
            version += 1
        return version

    def _hinted(self) -> int | None:
        try:
            head = decode_head(self._store.get(HEAD))
        except NotFound:
            return None
        return head.version if head and self._store.exists(manifest_path(head.version)) else None

    def _listed(self) -> int:
        versions = [manifest_version(path) or 0 for path in self._store.list(MANIFESTS)]
        if not any(versions):
            raise NoVersion.yet()
        return max(versions)

    def _newer(self, held: Version | None) -> Version | None:
        try:
            if held is None:
                return self.load()
            newer = self.advance(held)
            return None if newer is held else newer
        except NoVersion:
            # Nothing is published yet, or what was about to be read has been collected: both pass.
            return None

    def _full(self, manifest: Manifest) -> Version:
        roles = full_roles(manifest)
        with ThreadPoolExecutor(len(roles)) as pool:
            contents = dict(zip(roles, pool.map(partial(self._named, manifest), roles), strict=True))
        return full_version(manifest, contents)

    def _replayed(self, version: Version, target: Manifest) -> Version:
        """Deltas up to `target` on top of a version, whose memory is used up."""
        numbers = range(version.manifest.version + 1, target.version + 1)
        with ThreadPoolExecutor(READERS) as pool:
            for manifest, delta in pool.map(partial(self._delta, target), numbers):
                version = replay(version, manifest, delta)
                if manifest.find("buffers"):
                    version = replace(version, buffers=self._read(manifest, "buffers", decode_tensors))
        if target.find("serving"):
            propagated = self._read(target, "serving", partial(decode_parameters, config=target.model))
            version = checked(replace(version, propagated=propagated))
        return version

    def _delta(self, target: Manifest, version: int) -> tuple[Manifest, Delta]:
        manifest = target if version == target.version else self.manifest(version)
        decode = partial(decode_delta, config=manifest.model, tables=manifest.tables)
        return manifest, self._read(manifest, "delta", decode)

    def _read(self, manifest: Manifest, role: Role, decode: Callable[[bytes], T]) -> T:
        return decoded(manifest.file(role), decode, self._named(manifest, role))

    def _named(self, manifest: Manifest, role: Role) -> bytes:
        return self._content(manifest.version, manifest.file(role))

    def _content(self, version: int, file: File) -> bytes:
        """A file of a version, verified."""
        try:
            data = self._store.get(file.path)
        except NotFound as error:
            # A collector overwrites the manifest before it deletes files.
            self.manifest(version)
            raise CorruptFile(file.path, "is missing") from error
        verify(file, data, manifest_path(version))
        return data


def _collected(version: int) -> NoVersion:
    return NoVersion(f"version {version} was collected; read a newer one")
