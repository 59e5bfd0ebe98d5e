"""Removes old versions, and what attempts left that never became one. `docs/protocol.md` says why in this order."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from ifru.snapshots.candidates import CANDIDATES, cut_of, give_reason, is_rejection, was_rejected
from ifru.snapshots.errors import ForkedHistory, OutdatedCandidate
from ifru.snapshots.format import MANIFESTS, Manifest, Tombstone, encode_tombstone, manifest_path
from ifru.snapshots.kept import check_kept
from ifru.snapshots.purge import PURGES, Purge, create_purge, newest_purge, purge_version
from ifru.snapshots.reader import Reader
from ifru.snapshots.retention import Retention
from ifru.stores.local import STAGING
from ifru.stores.store import Store

AT_ONCE = 8
"""Files that are deleted at once."""

CHUNK = 8 * AT_ONCE
"""Files after which somebody else may come in between."""

_NAME = re.compile(r"([a-z]+)/(\d{12})-([0-9A-Za-z-]+)[./]")
Entry = Callable[[int], Manifest | Tombstone]


@dataclass(frozen=True)
class Collection:
    """What was collected. newest: the newest version. oldest: the oldest that is retained, which stands on `base`.

    versions: that were collected, ascending. files: paths that were deleted. bytes: of the files of those versions.
    refused: candidates that were made before a version that is left, so that they may hold what was erased since.
    purged: no file holds any more what requests of versions up to this one have erased; None where that is unknown.
    """

    newest: int
    oldest: int
    base: int
    versions: tuple[int, ...]
    files: tuple[str, ...]
    bytes: int
    purged: int | None
    refused: tuple[str, ...] = ()


def collect(
    store: Store,
    retention: Retention,
    clock: Callable[[], datetime],
    pause: Callable[[], None] = lambda: None,
    dry_run: bool = False,
) -> Collection:
    """Collect what need not be retained. It may end at any step, by an error or a crash, and be done again.

    pause: called again and again; what it raises ends the collection. dry_run: say what would be done, and do nothing.
    Raises NoVersion, CorruptFile, ForkedHistory, HistoryReplaced where a backup is restored meanwhile, StoreError.
    """
    return _Collector(store, clock, pause, dry_run).collect(retention)


class _Collector:
    def __init__(self, store: Store, clock: Callable[[], datetime], pause: Callable[[], None], dry_run: bool) -> None:
        self._store, self._clock, self._pause, self._dry_run = store, clock, pause, dry_run
        self._reader = Reader(store)

    def collect(self, retention: Retention) -> Collection:
        """1. Find the oldest version that is retained, and the one that it stands on.

        2. Overwrite the manifests of all before that by tombstones, from the newest to the oldest: so no delta follows
        a tombstone, wherever this ends.
        3. Delete what no version names. 4. Write down that what was erased before is gone.
        """
        newest = self._reader.manifest(self._reader.newest())
        known = newest_purge(self._store)
        first = known.version if known and known.version <= newest.base else 1
        oldest = self._oldest(newest, first, retention)
        base = oldest if oldest.kind == "full" else self._reader.manifest(oldest.base)
        collected = list(self._bury(base, range(first, base.version), newest))
        garbage = self._garbage(base, newest)
        strays = {version for path in garbage if (version := _version(path)) and version < first}
        collected += self._bury_strays(sorted(strays, reverse=True))
        refused = self._refuse(garbage, base)
        self._delete(garbage, newest)
        purged = self._record(base, known, newest) if base.version > 1 else None
        return Collection(
            newest=newest.version,
            oldest=oldest.version,
            base=base.version,
            versions=tuple(sorted(manifest.version for manifest in collected)),
            files=tuple(garbage),
            bytes=sum(file.size for manifest in collected for file in manifest.files if file.role != "ledger"),
            purged=purged,
            refused=refused,
        )

    def _oldest(self, newest: Manifest, first: int, retention: Retention) -> Manifest:
        """The newest version at the time before which versions go, or an older one of those that are kept."""
        limit, low, high = self._clock() - retention.older_than, first, newest.version
        while low < high:
            self._pause()
            middle = (low + high + 1) // 2
            entry = newest if middle == newest.version else self._reader.entry(middle)
            gone = isinstance(entry, Tombstone) or entry.time <= limit
            low, high = (middle, high) if gone else (low, middle - 1)
        version = max(first, min(low, newest.version - retention.keep + 1))
        while isinstance(found := self._reader.entry(version), Tombstone):
            version += 1
        return found

    def _bury(self, base: Manifest, versions: range, newest: Manifest) -> Iterator[Manifest]:
        """Put tombstones for the ancestors of a version; those that had none."""
        if versions:
            check_kept(self._store, newest)
        child_says = base.parent_sha256
        for version in reversed(versions):
            self._pause()
            entry = self._reader.entry(version)
            if None not in (child_says, entry.sha256) and entry.sha256 != child_says:
                raise ForkedHistory(
                    manifest_path(version), f"has SHA-256 {entry.sha256}; the version after it says {child_says}"
                )
            child_says = entry.parent_sha256
            if isinstance(entry, Manifest):
                self._put_tombstone(entry)
                yield entry

    def _bury_strays(self, versions: Iterable[int]) -> Iterator[Manifest]:
        """The same for versions that should have had theirs, and that a backup has brought back."""
        for version in versions:
            self._pause()
            entry = self._reader.entry(version)
            if isinstance(entry, Manifest):
                self._put_tombstone(entry)
                yield entry

    def _put_tombstone(self, manifest: Manifest) -> None:
        if not self._dry_run:
            self._store.put(manifest_path(manifest.version), encode_tombstone(manifest))

    def _garbage(self, base: Manifest, newest: Manifest) -> list[str]:
        """Files that no version names, but for those of attempts that may still become one."""
        self._pause()
        # Manifests are never garbage, and there are more of them than of anything else.
        paths = [path for path in self._store.list("") if not path.startswith(MANIFESTS)]
        named = [(path, *match.groups()) for path in paths if (match := _NAME.match(path)) and match[1] != CANDIDATES]
        attempts: defaultdict[int, set[str]] = defaultdict(set)
        for _, _, version, attempt in named:
            attempts[int(version)].add(attempt)
        shared = {file.path for file in base.shared}

        @cache
        def committed(version: int) -> str | None:
            self._pause()
            return _attempt(self._reader.entry(version))

        def is_garbage(path: str, folder: str, version: int, attempt: str) -> bool:
            if version < base.version and folder != "ledger":
                return path not in shared
            if version > newest.version or len(attempts[version]) == 1:
                return False
            return committed(version) not in (None, attempt)

        found = [path for path, folder, version, attempt in named if is_garbage(path, folder, int(version), attempt)]
        return [*found, *self._old_candidates(paths, base), *self._store.list(STAGING)]

    def _old_candidates(self, paths: Iterable[str], base: Manifest) -> Iterator[str]:
        """Files of candidates that were made from an older version, or that nobody has finished; reasons for refusals
        stay."""

        @cache
        def made_from(name: str) -> int:
            self._pause()
            return cut_of(self._store, name)

        for path in paths:
            of_candidate = path.startswith(f"{CANDIDATES}/") and not is_rejection(path)
            if of_candidate and made_from(path.split("/")[1]) < base.version:
                yield path

    def _refuse(self, garbage: Iterable[str], base: Manifest) -> tuple[str, ...]:
        """Say beside candidates why they are not adopted, before they go; those where nothing was said yet."""
        names = {path.split("/")[1] for path in garbage if path.startswith(f"{CANDIDATES}/")}
        refused = tuple(sorted(name for name in names if not was_rejected(self._store, name)))
        for name in () if self._dry_run else refused:
            reason = str(OutdatedCandidate(name, cut_of(self._store, name), base.version))
            give_reason(self._store, name, reason, self._clock())
        return refused

    def _delete(self, paths: Sequence[str], newest: Manifest) -> None:
        if self._dry_run or not paths:
            return
        check_kept(self._store, newest)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for start in range(0, len(paths), CHUNK):
                self._pause()
                list(pool.map(self._store.delete, paths[start : start + CHUNK]))

    def _record(self, base: Manifest, known: Purge | None, newest: Manifest) -> int | None:
        """The version up to which all is gone. Older records go: they say less."""
        if self._dry_run:
            return known.version if known else None
        if known is None or known.version != base.version:
            check_kept(self._store, newest)
            create_purge(self._store, Purge(version=base.version, sha256=base.sha256, time=self._clock()))
        for path in self._store.list(PURGES):
            if (version := purge_version(path)) and version < base.version:
                self._store.delete(path)
        return base.version


def _version(path: str) -> int | None:
    match = _NAME.match(path)
    return None if match is None or match[1] == CANDIDATES else int(match[2])


def _attempt(entry: Manifest | Tombstone) -> str | None:
    """Whose version it is; None where a tombstone of format 1 does not say."""
    if isinstance(entry, Manifest):
        return entry.attempt
    match = None if entry.ledger is None else _NAME.match(entry.ledger.path)
    return None if match is None else match[3]
