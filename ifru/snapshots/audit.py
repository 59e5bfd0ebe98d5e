"""Everything that a store holds of a model, checked: bytes against what vouches for them, versions against each other.

A file is vouched for by its manifest, a manifest by the version after it, and the newest one by the hint.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypeVar

from ifru.errors import IfruError
from ifru.snapshots.errors import CorruptFile, NoVersion
from ifru.snapshots.examination import Examiner
from ifru.snapshots.format import (
    HEAD,
    MANIFESTS,
    Manifest,
    Tombstone,
    decode_head,
    decode_manifest,
    encode_head,
    manifest_path,
    manifest_version,
)
from ifru.snapshots.hash_key import HASH_KEY, encode_hash_key, key_id, names_key, read_hash_key, rotated_path
from ifru.snapshots.parts import File
from ifru.snapshots.purge import Purge, newest_purge, purge_version
from ifru.stores.errors import NotFound
from ifru.stores.store import Store
from ifru.training.report import Report, silent

READERS = 8
"""Requests under way at once."""

AHEAD_BYTES = 1 << 25
"""The files of a version are read ahead where they are together not larger; else in their turn."""

T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True)
class Finding:
    """What was found about the file at a path."""

    path: str
    what: str


@dataclass(frozen=True)
class Audit:
    """What a store holds of a model. problems: what is not as it was written. notes: what is odd and does no harm.

    newest: the newest version. collected: how many were. files, bytes: that versions name. receipts: in all ledgers.
    leftovers: files that no version names: of attempts that failed, or of versions that were collected.
    """

    newest: int
    collected: int
    files: int
    bytes: int
    receipts: int
    problems: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    leftovers: tuple[str, ...]

    @property
    def sound(self) -> bool:
        return not self.problems


@dataclass(frozen=True)
class _Fetched:
    """A version as it was fetched. data: of its manifest; entry: what that says, or why it says nothing.

    contents: of its files, by path, without those that are missing; None where they are too large to be read ahead.
    """

    version: int
    data: bytes
    entry: Manifest | Tombstone | IfruError
    contents: Mapping[str, bytes] | None


def audit(store: Store, report: Report = silent, hash_key: bytes | None = None) -> Audit:
    """Check everything under a prefix. Publishes nothing, and takes a store in which others write as it is.

    hash_key: of the hashes in versions, where it is not kept with them.

    Memory: the paths of all files, one version, its files, and AHEAD_BYTES for each of READERS versions after it.
    Raises NoVersion for an empty prefix, StoreError where the store fails.
    """
    return _Walk(store, report, hash_key).walk()


class _Walk:
    def __init__(self, store: Store, report: Report, hash_key: bytes | None) -> None:
        self._store, self._report, self._hash_key = store, report, hash_key
        self._problems: dict[Finding, None] = {}
        self._notes: list[Finding] = []
        self._examiner = Examiner(self._tell)
        self._files = self._bytes = self._collected = 0
        # Written before the listing was: it may name an older version than is listed, and never a newer one.
        self._hint = self._get(HEAD)
        # Written after what it is about was deleted, so all of that is gone from the listing.
        self._purge = self._purged()
        self._unnamed = {path for path in store.list("") if not purge_version(path)}

    def walk(self) -> Audit:
        versions = self._listed()
        last: _Fetched | None = None
        with ThreadPoolExecutor(READERS) as pool:
            for done, fetched in enumerate(_ahead(pool, self._fetch, versions), 1):
                self._report(f"version {fetched.version} of {versions[-1]}", done / len(versions))
                if last is None or fetched.version != last.version + 1:
                    self._gap(0 if last is None else last.version, fetched.version)
                last = self._whole(fetched, last, pool)
                self._examine(last)
        assert last is not None
        self._check_newest(last)
        self._check_hint(last)
        self._check_leftovers(last.version)
        return Audit(
            newest=last.version,
            collected=self._collected,
            files=self._files,
            bytes=self._bytes,
            receipts=self._examiner.receipts,
            problems=tuple(self._problems),
            notes=tuple(self._notes),
            leftovers=tuple(sorted(self._unnamed - {HEAD})),
        )

    def _purged(self) -> Purge | None:
        try:
            return newest_purge(self._store)
        except CorruptFile as error:
            self._tell(error.path, error.reason)
            return None

    def _listed(self) -> list[int]:
        """The versions that have a manifest, ascending."""
        manifests = [path for path in self._unnamed if path.startswith(f"{MANIFESTS}/")]
        self._unnamed.difference_update(manifests)
        for path in sorted(manifests):
            if not manifest_version(path):
                self._tell(path, "lies among the manifests and is none")
        versions = sorted(version for path in manifests if (version := manifest_version(path)))
        if not versions:
            raise NoVersion.yet()
        return versions

    def _fetch(self, version: int) -> _Fetched:
        data = self._get(manifest_path(version))
        if data is None:
            return _Fetched(version, b"", CorruptFile(manifest_path(version), "is missing"), {})
        try:
            entry = decode_manifest(data, version)
        except IfruError as error:
            return _Fetched(version, data, error, {})
        files = self._examiner.files(entry)
        if sum(file.size for file in files) > AHEAD_BYTES:
            return _Fetched(version, data, entry, None)
        return _Fetched(version, data, entry, self._contents(files, map))

    def _whole(self, fetched: _Fetched, last: _Fetched | None, pool: ThreadPoolExecutor) -> _Fetched:
        """A version with the contents of its files; as it is now where it may have been collected just before."""
        entry, contents = fetched.entry, fetched.contents
        if isinstance(entry, IfruError):
            return fetched
        files = self._examiner.files(entry)
        if contents is None:
            contents = self._contents(files, pool.map)
        orphaned = last is not None and isinstance(last.entry, Tombstone) and not isinstance(entry, Tombstone)
        missing = any(file.path not in contents for file in files)
        if (orphaned or missing) and self._get(manifest_path(fetched.version)) != fetched.data:
            return self._whole(self._fetch(fetched.version), None, pool)
        return replace(fetched, contents=contents)

    def _contents(self, files: Iterable[File], mapped: Callable[..., Iterable[bytes | None]]) -> dict[str, bytes]:
        paths = [file.path for file in files]
        found = zip(paths, mapped(self._get, paths), strict=True)
        return {path: data for path, data in found if data is not None}

    def _get(self, path: str) -> bytes | None:
        try:
            return self._store.get(path)
        except NotFound:
            return None

    def _gap(self, before: int, version: int) -> None:
        more = f", like all up to version {version - 1}" if version > before + 2 else ""
        if version > before + 1:
            self._tell(manifest_path(before + 1), f"is missing{more}")
        self._examiner.lost()

    def _examine(self, fetched: _Fetched) -> None:
        entry = fetched.entry
        if isinstance(entry, IfruError):
            self._tell(manifest_path(fetched.version), entry.reason if isinstance(entry, CorruptFile) else str(entry))
            self._examiner.lost()
            return
        files = self._examiner.files(entry)
        self._files, self._bytes = self._files + len(files), self._bytes + sum(file.size for file in files)
        self._unnamed.difference_update(file.path for file in files)
        self._examiner.examine(entry, fetched.contents or {})
        if isinstance(entry, Tombstone):
            self._collected += 1
            if entry.sha256 is None:
                self._note(manifest_path(entry.version), "names no version that was collected, as in format 1")
            elif fetched.data != entry.encoded():
                self._note(manifest_path(entry.version), "says what it has to, in other bytes than it would be written")

    def _check_newest(self, newest: _Fetched) -> None:
        if isinstance(newest.entry, Tombstone) and self._get(manifest_path(newest.version + 1)) is None:
            self._tell(manifest_path(newest.version), "is the newest version, and was collected")
        wanted = newest.entry.hash_key_id if isinstance(newest.entry, Manifest) else None
        path = HASH_KEY if wanted is None or rotated_path(wanted) not in self._unnamed else rotated_path(wanted)
        self._unnamed -= {path, HASH_KEY}
        try:
            key = read_hash_key(self._store, path) if self._hash_key is None else self._hash_key
        except NotFound:
            self._tell(path, "is missing")
            return
        except CorruptFile as error:
            self._tell(path, error.reason)
            return
        if not names_key(key, wanted):
            self._tell(path, f"holds the key {key_id(key)}; the newest version names {wanted}")
        if self._hash_key is None and self._get(path) != encode_hash_key(key):
            self._note(path, "holds its key in other bytes than it would be written")

    def _check_hint(self, newest: _Fetched) -> None:
        if self._hint is None:
            self._note(HEAD, "is missing; readers list the manifests")
            return
        head = decode_head(self._hint)
        if head is None:
            self._tell(HEAD, "names no version")
            return
        named = newest if head.version == newest.version else self._fetch(head.version)
        if not named.data:
            self._tell(HEAD, f"names version {head.version}, but {manifest_path(head.version)} does not exist")
            return
        if named is not newest:
            self._note(HEAD, f"is behind: it names version {head.version}, and {newest.version} is the newest")
        digest = named.entry.sha256 if isinstance(named.entry, Tombstone) else sha256(named.data).hexdigest()
        if head.sha256 is None:
            self._note(HEAD, "does not say which bytes the newest manifest has, which hints of older releases did not")
        elif head.sha256 != digest:
            self._tell(manifest_path(head.version), f"has SHA-256 {digest}, not {head.sha256} as {HEAD} says")
        if self._hint != encode_head(head.version, head.sha256):
            self._note(HEAD, "says what it has to, in other bytes than it would be written")

    def _check_leftovers(self, newest: int) -> None:
        """Whether there are files of versions that can be no attempt to write the next one."""
        of = {path: int(match[1]) for path in self._unnamed if (match := re.match(r"[a-z]+/(\d{12})-", path))}
        beyond = {path: version for path, version in of.items() if version > newest + 1}
        if beyond:
            path = max(beyond, key=lambda path: (beyond[path], path))
            what = f"is of version {beyond[path]}, but {newest} is the newest: a backup was probably restored"
            self._note(path, what)
        if self._purge is not None:
            for path in sorted(path for path, version in of.items() if version < self._purge.version):
                if not path.startswith("ledger/"):
                    self._note(path, f"came after {self._purge.path} said that such files are gone: collect again")

    def _tell(self, path: str, what: str) -> None:
        self._problems[Finding(path, what)] = None

    def _note(self, path: str, what: str) -> None:
        self._notes.append(Finding(path, what))


def _ahead(pool: ThreadPoolExecutor, work: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """What comes of the items, in their order; so many as there are readers are worked on ahead."""
    waiting: deque[Future[T]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > READERS:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
