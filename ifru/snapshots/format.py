"""What a version is: its manifest, and what is left of it once it was collected."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveInt,
    SerializeAsAny,
    StringConstraints,
    ValidationError,
)

from ifru.models import ModelConfig, UnknownModel, config_of
from ifru.snapshots.documents import decode_json
from ifru.snapshots.errors import CorruptFile, ForkedHistory
from ifru.snapshots.parts import (
    ErasedRows,
    Event,
    File,
    Held,
    Part,
    ProvenBound,
    Residual,
    Role,
    Segment,
    Sha256,
    Table,
)
from ifru.snapshots.sources import Source
from ifru.stores.errors import StoreError

SCHEMA_VERSION: Final = 3
HEAD = "HEAD.json"
MANIFESTS = "manifests"
LAST_VERSION: Final = 10**12 - 1
"""What twelve digits can name."""

Attempt = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z-]{0,63}$")]
Configuration = Annotated[
    SerializeAsAny[ModelConfig],
    BeforeValidator(lambda given: config_of(given) if isinstance(given, Mapping) else given),
]


class Manifest(Part):
    """A version. Its creation is the commit. What has a default here is what versions of format 1 do not say.

    parent: the version before. parent_sha256: of its manifest's bytes. base: the full version that a chain of deltas
    starts from, itself for a full one. epoch: raised by each writer that takes over.
    claims: of a version by which a writer only took over, the newest before it that is none such.
    tables: none where `base` is of format 1. sources: how far each was read. events: requests that the version
    answers. answered: files of those that older versions answered, the oldest first. held: all that are held by now;
    pending: the file of what they ask for. erased_recently: rows by minute, as far as they count against the brake.
    candidate: the name of the candidate that the version was made from.
    hash_key_id: of the key that hashes and fingerprints are made by.
    oldest_erasure: when the oldest of the rows was erased that files of `base` still hold; None where there is none.
    purged: requests of versions up to this one have got a receipt that nothing stored holds their rows any more.
    retained, holdout: rows that are left to train on and to test on.
    proof: the newest, of this version or of an older one; `quality` has only what is known of this one.
    sha256: of the bytes that the store has, which do not hold it; empty before they are written.
    """

    schema_version: Literal[1, 2, 3] = SCHEMA_VERSION
    version: PositiveInt
    parent: PositiveInt | None
    parent_sha256: Sha256 | None = None
    base: PositiveInt
    kind: Literal["full", "delta"]
    attempt: Attempt
    epoch: NonNegativeInt = 0
    claims: PositiveInt | None = None
    time: AwareDatetime
    model: Configuration
    tables: dict[str, Table] = Field(default_factory=dict)
    files: tuple[File, ...]
    sources: dict[str, Source]
    events: tuple[Event, ...]
    answered: tuple[Segment, ...] = ()
    held: tuple[Held, ...] = ()
    pending: File | None = None
    erased_recently: tuple[ErasedRows, ...] = ()
    candidate: Attempt | None = None
    hash_key_id: str | None = None
    oldest_erasure: AwareDatetime | None = None
    purged: NonNegativeInt = 0
    residual: Residual
    retained: NonNegativeInt
    holdout: NonNegativeInt
    quality: dict[str, FiniteFloat]
    proof: ProvenBound | None = None
    sha256: str = Field(default="", exclude=True)

    @property
    def positions(self) -> dict[str, dict[int, int]]:
        """Source -> partition -> where the next event is."""
        return {
            name: {partition: position.next for partition, position in source.partitions.items()}
            for name, source in self.sources.items()
        }

    @property
    def hashes(self) -> tuple[str, ...]:
        """Keyed hashes of the requests that the version answers."""
        return tuple(event.hash for event in self.events)

    @property
    def shared(self) -> tuple[File, ...]:
        """Files that other versions name as well. A later version names them for a time, and then never again."""
        return (*self.answered, *([] if self.pending is None else [self.pending]))

    def find(self, role: Role) -> File | None:
        """The file with a role, where there is one."""
        return next((file for file in self.files if file.role == role), None)

    def file(self, role: Role) -> File:
        """The file with a role. Raises CorruptFile where the manifest names none."""
        if (file := self.find(role)) is None:
            raise CorruptFile(manifest_path(self.version), f"names no {role} file")
        return file

    def check_follows(self, parent: Manifest | Tombstone) -> None:
        """Raises ForkedHistory where this version was not written on top of that very parent."""
        if self.schema_version > 1 and parent.sha256 is not None and self.parent_sha256 != parent.sha256:
            there, said = f"{manifest_path(parent.version)} has SHA-256 {parent.sha256}", self.parent_sha256
            raise ForkedHistory(manifest_path(self.version), f"was written after another parent: {there}, not {said}")
        if isinstance(parent, Tombstone):
            return
        if self.epoch < parent.epoch:
            reason = f"was written in epoch {self.epoch}, but the version before it in epoch {parent.epoch}"
            raise ForkedHistory(manifest_path(self.version), reason)
        if self.kind == "delta" and self.model != parent.model:
            raise ForkedHistory(manifest_path(self.version), "is a delta, but of another model than the version before")


class Tombstone(Part):
    """What is left of a collected version, so that its number can never be used again.

    sha256, parent_sha256: of the manifests of the version and of its parent. ledger: is never collected. files: which
    the version had besides, and are gone, or about to go. files_sha256: of that list, which nothing else vouches for.
    Tombstones of format 1 have none of these.
    """

    collected: Literal[True] = True
    version: PositiveInt
    sha256: Sha256 | None = None
    parent_sha256: Sha256 | None = None
    ledger: File | None = None
    files: tuple[File, ...] = ()
    files_sha256: Sha256 | None = None

    def encoded(self) -> bytes:
        """As `encode_tombstone` writes it."""
        older = {"files", "files_sha256"} if self.files_sha256 is None else None
        return self.model_dump_json(indent=1, exclude=older).encode()

    def check(self) -> None:
        """Raises CorruptFile where it lists other files than were written."""
        if self.files_sha256 not in (None, _digest(self.files)):
            raise CorruptFile(manifest_path(self.version), "lists other files than were collected")


def manifest_path(version: int) -> str:
    return f"{MANIFESTS}/{version:012d}.json"


def manifest_version(path: str) -> int | None:
    """The version of a path among the manifests; None for anything else that lies there."""
    match = re.fullmatch(rf"{MANIFESTS}/(\d{{12}})\.json", path)
    return None if match is None else int(match[1])


def encode_manifest(manifest: Manifest) -> bytes:
    return manifest.model_dump_json(indent=1).encode()


def encode_tombstone(manifest: Manifest) -> bytes:
    """What a collector overwrites a manifest by."""
    files = tuple(file for file in manifest.files if file.role != "ledger")
    return Tombstone(
        version=manifest.version,
        sha256=manifest.sha256,
        parent_sha256=manifest.parent_sha256,
        ledger=manifest.file("ledger"),
        files=files,
        files_sha256=_digest(files),
    ).encoded()


def _digest(files: Sequence[File]) -> str:
    return hashlib.sha256("\n".join(file.model_dump_json() for file in files).encode()).hexdigest()


class Head(Part):
    """The hint: the newest version, and the SHA-256 of its manifest, which hints of older releases do not have."""

    version: Annotated[int, Field(strict=True, ge=1, le=LAST_VERSION)]
    sha256: Sha256 | None = None


def encode_head(version: int, sha256: str | None) -> bytes:
    known = {} if sha256 is None else {"sha256": sha256}
    return json.dumps({"version": version, **known}).encode()


def decode_manifest(data: bytes, version: int, path: str | None = None) -> Manifest | Tombstone:
    """Read the manifest of a version. path: where it is, if not among the versions.

    Raises CorruptFile where it is none, StoreError for a schema that this program does not know, and UnknownModel.
    """
    path = path or manifest_path(version)
    try:
        document = decode_json(data)
    except ValueError as error:
        raise CorruptFile(path, "is not valid JSON") from error
    if not isinstance(document, dict) or document.get("version") != version:
        raise CorruptFile(path, f"is not the manifest of version {version}")
    try:
        if document.get("collected") is True:
            return Tombstone.model_validate(document)
        if (schema := document.get("schema_version")) not in range(1, SCHEMA_VERSION + 1):
            raise StoreError(
                f"{path} has schema version {schema}; 1 to {SCHEMA_VERSION} are understood: update this program"
            )
        if schema == 1:
            document["sources"] = document.pop("positions", None)
        manifest = Manifest.model_validate(document)
    except UnknownModel as error:
        raise UnknownModel(error.name, path) from error
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, item["loc"])) for item in error.errors(include_url=False))
        raise CorruptFile(path, f"has wrong or missing fields: {fields}") from error
    if not _in_place(manifest):
        reason = f"is a {manifest.kind} version {version} that names the parent {manifest.parent}, the base "
        raise CorruptFile(path, f"{reason}{manifest.base} and the claimed version {manifest.claims}")
    return manifest.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()})


def _in_place(manifest: Manifest) -> bool:
    """Whether the numbers that a version names are those of versions before it."""
    version, full = manifest.version, manifest.kind == "full"
    before = manifest.base == version if full else manifest.base < version
    return before and (manifest.parent or 0) == version - 1 and (manifest.claims or 0) < version


def decode_head(data: bytes) -> Head | None:
    """The hint; None where it names no version, since nothing depends on a hint."""
    try:
        return Head.model_validate(decode_json(data))
    except ValueError:
        return None
