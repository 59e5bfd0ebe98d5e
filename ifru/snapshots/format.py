"""What a version is made of: its manifest, and where its files lie."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FiniteFloat,
    NonNegativeInt,
    PositiveInt,
    SerializeAsAny,
    StringConstraints,
    ValidationError,
)

from ifru.models import ModelConfig, config_of
from ifru.snapshots.errors import CorruptFile, StoreError

SCHEMA_VERSION: Final = 1
HEAD = "HEAD.json"
MANIFESTS = "manifests"

Role = Literal["model", "delta", "train", "holdout", "users", "items", "ledger"]
Attempt = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z-]{0,63}$")]
# Every part begins with a letter or a digit, so no path leads out of the prefix.
FilePath = Annotated[str, StringConstraints(pattern=r"^[a-z]+(/[0-9A-Za-z][0-9A-Za-z.-]*)+$")]

Configuration = Annotated[
    SerializeAsAny[ModelConfig],
    BeforeValidator(lambda given: config_of(given) if isinstance(given, Mapping) else given),
]

_PATHS: dict[Role, str] = {
    "model": "model/{}/model.safetensors",
    "delta": "model/{}/delta.safetensors",
    "train": "data/{}/train.parquet",
    "holdout": "data/{}/holdout.parquet",
    "users": "data/{}/users.parquet",
    "items": "data/{}/items.parquet",
    "ledger": "ledger/{}.jsonl",
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class File(_Part):
    """A file of a version. sha256: hex. size: bytes."""

    path: FilePath
    sha256: str
    size: NonNegativeInt
    role: Role


class Residual(_Part):
    """What a version still owes to the retrained model. Residual influences are shares of the debt that was added.

    influence: of this batch, as published with it. settled: the exact one of the parent version, known once this
    one was written. total: since the last full training. batch_energy: energy of the debt when the batch had been
    added. added_energy: all energy that batches have added since the last full training.
    method: how the update was computed. reason: why it stopped.
    """

    influence: FiniteFloat | None
    settled: FiniteFloat | None
    total: FiniteFloat | None
    batch_energy: FiniteFloat
    added_energy: FiniteFloat
    method: str
    reason: str


class Manifest(_Part):
    """A version. Its creation is the commit.

    parent: the version before. base: the full version that a chain of deltas starts from, itself for a full one.
    positions: source -> partition -> where the next event is. events: keyed hashes of the event ids of the batch.
    retained, holdout: rows that are left to train on and to test on.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    version: PositiveInt
    parent: PositiveInt | None
    base: PositiveInt
    kind: Literal["full", "delta"]
    attempt: Attempt
    time: AwareDatetime
    model: Configuration
    files: tuple[File, ...]
    positions: dict[str, dict[int, int]]
    events: tuple[str, ...]
    residual: Residual
    retained: NonNegativeInt
    holdout: NonNegativeInt
    quality: dict[str, FiniteFloat]

    def file(self, role: Role) -> File:
        """The file with a role. Raises CorruptFile where the manifest names none."""
        for file in self.files:
            if file.role == role:
                return file
        raise CorruptFile(manifest_path(self.version), f"names no {role} file")


@dataclass(frozen=True)
class Tombstone:
    """What is left of a collected version, so that its number can never be used again."""

    version: int


def manifest_path(version: int) -> str:
    return f"{MANIFESTS}/{version:012d}.json"


def manifest_version(path: str) -> int | None:
    """The version of a path among the manifests; None for anything else that lies there."""
    match = re.fullmatch(rf"{MANIFESTS}/(\d{{12}})\.json", path)
    return None if match is None else int(match[1])


def describe(role: Role, version: int, attempt: str, data: bytes) -> File:
    """The entry of a file, at a path that no other attempt writes to."""
    path = _PATHS[role].format(f"{version:012d}-{attempt}")
    return File(path=path, sha256=hashlib.sha256(data).hexdigest(), size=len(data), role=role)


def encode_manifest(manifest: Manifest) -> bytes:
    return manifest.model_dump_json(indent=1).encode()


def encode_tombstone(tombstone: Tombstone) -> bytes:
    return json.dumps({"collected": True, "version": tombstone.version}).encode()


def encode_head(version: int) -> bytes:
    return json.dumps({"version": version}).encode()


def decode_manifest(data: bytes, version: int) -> Manifest | Tombstone:
    """Read the manifest of a version.

    Raises CorruptFile where it is none, and StoreError for a schema that this program does not know.
    """
    path = manifest_path(version)
    try:
        document = json.loads(data)
    except ValueError as error:
        raise CorruptFile(path, "is not valid JSON") from error
    if not isinstance(document, dict) or document.get("version") != version:
        raise CorruptFile(path, f"is not the manifest of version {version}")
    if document.get("collected") is True:
        return Tombstone(version)
    if (schema := document.get("schema_version")) != SCHEMA_VERSION:
        raise StoreError(f"{path} has schema version {schema}; {SCHEMA_VERSION} is understood: update this program")
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, item["loc"])) for item in error.errors(include_url=False))
        raise CorruptFile(path, f"has wrong or missing fields: {fields}") from error


def decode_head(data: bytes) -> int | None:
    """The version that the hint names; None where it names none, since nothing depends on a hint."""
    try:
        version = json.loads(data)["version"]
    except (ValueError, KeyError, TypeError):
        return None
    return version if type(version) is int and version > 0 else None
