"""Versions examined one by one: whether their files are what was written, and lead to what their manifests say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

import torch
from safetensors.torch import load as decode_tensors
from torch import Tensor

from ifru.interactions import Dataset, Interactions
from ifru.objective.parameters import Parameters, ParameterUpdate
from ifru.snapshots.decoding import decoded, full_roles, full_version, verify
from ifru.snapshots.documents import decode_json
from ifru.snapshots.errors import CorruptFile
from ifru.snapshots.format import Manifest, Tombstone, manifest_path
from ifru.snapshots.ledger import decode_ledger
from ifru.snapshots.parquet import decode_answered, decode_suppressed
from ifru.snapshots.parts import File, Role, Segment
from ifru.snapshots.tensors import decode_delta, decode_parameters
from ifru.snapshots.version import Version, checked, replay

Tell = Callable[[str, str], None]
"""Told a path, and what is wrong with it."""


class Examiner:
    """Examines versions in their order; keeps what the next one stands on. receipts: so many were read."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.receipts = 0
        # The version before, and what it is; None where that is not known.
        self._before: Manifest | Tombstone | None = None
        self._version: Version | None = None
        # Paths of files that several versions name.
        self._shared: set[str] = set()

    def files(self, entry: Manifest | Tombstone) -> list[File]:
        """What is to be read of a version: the files that it names, without those that an older one named too."""
        if isinstance(entry, Tombstone):
            return [] if entry.ledger is None else [entry.ledger]
        return [*entry.files, *(file for file in entry.shared if file.path not in self._shared)]

    def lost(self) -> None:
        """The next version is not there, or cannot be read."""
        self._before = self._version = None

    def examine(self, entry: Manifest | Tombstone, contents: Mapping[str, bytes]) -> None:
        """The next version. contents: of its files, by path, without those that the store does not have."""
        files = self.files(entry)
        sound = {file.path: contents[file.path] for file in files if self._is_sound(file, contents, entry.version)}
        self._check(lambda: self._follows(entry))
        ledger = _ledger(entry)
        if ledger is not None and ledger.path in sound:
            self._check(lambda: self._chained(ledger, sound[ledger.path]))
        if isinstance(entry, Tombstone):
            self._check(entry.check)
            self._version = None
        else:
            self._check(lambda: self._in_place(entry))
            for segment in files:
                if isinstance(segment, Segment) and segment.path in sound:
                    self._check(partial(_check_segment, segment, sound[segment.path]))
            self._shared.update(file.path for file in entry.shared)
            version, self._version = self._version, None
            self._check(lambda: self._lead_on(entry, version, sound))
        self._before = entry

    def _check(self, check: Callable[[], None]) -> None:
        try:
            check()
        except CorruptFile as error:
            self._tell(error.path, error.reason)

    def _is_sound(self, file: File, contents: Mapping[str, bytes], version: int) -> bool:
        try:
            if file.path not in contents:
                raise CorruptFile(file.path, f"is missing, which {manifest_path(version)} names")
            verify(file, contents[file.path], manifest_path(version))
        except CorruptFile as error:
            self._tell(error.path, error.reason)
            return False
        return True

    def _follows(self, entry: Manifest | Tombstone) -> None:
        """Whether a version was written after the one before it."""
        before, path = self._before, manifest_path(entry.version)
        if before is None:
            return
        if isinstance(entry, Manifest):
            entry.check_follows(before)
        elif entry.parent_sha256 is not None and before.sha256 not in (None, entry.parent_sha256):
            there, said = f"{manifest_path(before.version)} has SHA-256 {before.sha256}", entry.parent_sha256
            raise CorruptFile(path, f"is what is left of a version after another parent: {there}, not {said}")

    def _in_place(self, manifest: Manifest) -> None:
        """Whether a version stands on what it can stand on."""
        before, path = self._before, manifest_path(manifest.version)
        if isinstance(before, Tombstone) and manifest.kind == "delta":
            raise CorruptFile(path, f"is a delta on version {before.version}, which was collected")
        if not isinstance(before, Manifest):
            return
        if manifest.kind == "delta" and manifest.base != before.base:
            raise CorruptFile(path, f"stands on the full version {manifest.base}, the one before it on {before.base}")
        if manifest.claims is not None and (manifest.claims != (before.claims or before.version) or manifest.events):
            raise CorruptFile(path, f"claims version {manifest.claims}, which it is no claim of")

    def _chained(self, ledger: File, data: bytes) -> None:
        """Whether a ledger names the one before it, and holds receipts."""
        before = None if self._before is None else _ledger(self._before)
        try:
            previous, receipts = decode_json(data.split(b"\n")[0])["previous"], decode_ledger(data)
            sound = all(isinstance(decode_json(receipt), dict) for receipt in receipts) and data.endswith(b"\n")
        except (ValueError, KeyError, TypeError):
            sound = False
        if not sound:
            raise CorruptFile(ledger.path, "is what was written, but holds no receipts")
        self.receipts += len(receipts)
        if before is not None and previous != before.sha256:
            raise CorruptFile(ledger.path, f"names {previous} as the ledger before it, which has {before.sha256}")

    def _lead_on(self, manifest: Manifest, version: Version | None, sound: Mapping[str, bytes]) -> None:
        """From the version before to this one. Raises CorruptFile where its files do not lead to what it says."""
        contents = {file.role: sound[file.path] for file in manifest.files if file.path in sound}
        if manifest.kind == "delta":
            version = self._moved(manifest, version, contents)
        elif all(role in contents for role in full_roles(manifest)):
            version = full = full_version(manifest, contents)
            self._check(lambda: _check_finite(manifest, "model", _tensors(full.parameters)))
            self._check(lambda: _check_rows(manifest, full.dataset))
        else:
            version = None
        if "suppressed" in contents:
            decoded(manifest.file("suppressed"), decode_suppressed, contents["suppressed"])
        if "buffers" in contents:
            buffers = decoded(manifest.file("buffers"), decode_tensors, contents["buffers"])
            self._check(lambda: _check_finite(manifest, "buffers", buffers.values()))
        self._version = version
        if "serving" in contents:
            decode = partial(decode_parameters, config=manifest.model)
            serving = decoded(manifest.file("serving"), decode, contents["serving"])
            self._check(lambda: _check_finite(manifest, "serving", _tensors(serving)))
            if version is not None:
                checked(replace(version, propagated=serving))

    def _moved(self, manifest: Manifest, version: Version | None, contents: Mapping[Role, bytes]) -> Version | None:
        """What a delta makes of the version before it, as far as both are known."""
        file = manifest.file("delta")
        if "delta" not in contents:
            return None
        decode = partial(decode_delta, config=manifest.model, tables=manifest.tables)
        delta = decoded(file, decode, contents["delta"])
        self._check(lambda: _check_finite(manifest, "delta", _tensors(delta.update)))
        if manifest.claims is not None and len(delta.update) + len(delta.deletion):
            self._tell(file.path, "belongs to a claim, which moves and deletes nothing")
        return None if version is None else replay(version, manifest, delta)


def _ledger(entry: Manifest | Tombstone) -> File | None:
    return entry.ledger if isinstance(entry, Tombstone) else entry.find("ledger")


def _check_segment(segment: Segment, data: bytes) -> None:
    run = decoded(segment, decode_answered, data)
    if len(run) != segment.count:
        raise CorruptFile(segment.path, f"holds {len(run)} requests, not {segment.count} as its manifest says")


def _tensors(parameters: Parameters | ParameterUpdate) -> Iterable[Tensor]:
    tables = parameters.tables.values()
    return [*(table[1] if isinstance(table, tuple) else table for table in tables), *parameters.shared.values()]


def _check_finite(manifest: Manifest, role: Role, tensors: Iterable[Tensor]) -> None:
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors):
        raise CorruptFile(manifest.file(role).path, "holds numbers that are not finite")


def check_all_finite(version: Version) -> None:
    """Raises CorruptFile where a full version holds numbers that are not finite."""
    manifest = version.manifest
    _check_finite(manifest, "model", _tensors(version.parameters))
    _check_rows(manifest, version.dataset)
    if version.buffers:
        _check_finite(manifest, "buffers", version.buffers.values())


def _check_rows(manifest: Manifest, dataset: Dataset) -> None:
    tables: dict[Role, Interactions] = {"train": dataset.train, "holdout": dataset.holdout}
    for role, interactions in tables.items():
        columns = interactions.columns()
        known = (column for column in (columns.label, columns.weight, columns.offset) if column is not None)
        _check_finite(manifest, role, map(torch.from_numpy, known))
