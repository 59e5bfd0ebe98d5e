"""What a manifest is made of."""

from __future__ import annotations

import hashlib
from typing import Annotated, Final, Literal, get_args

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    FiniteFloat,
    NonNegativeInt,
    PositiveInt,
    StringConstraints,
    model_validator,
)

Tensors = Literal["model", "delta", "serving", "buffers"]
Rows = Literal["train", "holdout", "users", "items", "user_features", "item_features"]
Role = Tensors | Rows | Literal["ledger", "answered", "pending", "suppressed"]
FEATURES: Final[dict[str, Role]] = {"user": "user_features", "item": "item_features"}
DType = Literal["float32", "float16", "bfloat16"]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
# Every part begins with a letter or a digit, so no path leads out of the prefix.
FilePath = Annotated[str, StringConstraints(pattern=r"^[a-z]+(/[0-9A-Za-z][0-9A-Za-z.-]*)+$")]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class File(Part):
    """A file of a version. size: bytes."""

    path: FilePath
    sha256: Sha256
    size: NonNegativeInt
    role: Role

    @staticmethod
    def of(role: Role, version: int, attempt: str, data: bytes) -> File:
        """The entry of a file, at a path that no other attempt writes to."""
        name = f"{version:012d}-{attempt}"
        folder, ending = ("model", "safetensors") if role in get_args(Tensors) else ("data", "parquet")
        match role:
            case "ledger":
                path = f"ledger/{name}.jsonl"
            case "answered" | "suppressed":
                path = f"{role}/{name}.parquet"
            case "pending":
                path = f"pending/{name}.jsonl"
            case _:
                path = f"{folder}/{name}/{role.replace('_', '-')}.{ending}"
        return File(path=path, sha256=hashlib.sha256(data).hexdigest(), size=len(data), role=role)


class Segment(File):
    """A file of requests that were answered: count of them, in versions `first` to `last`, the newest at a time.

    It belongs to all versions that name it, not only to the one that wrote it.
    """

    role: Literal["answered"]
    first: PositiveInt
    last: PositiveInt
    newest: AwareDatetime
    count: PositiveInt


class Table(Part):
    """A table of parameters, as it is stored."""

    rows: NonNegativeInt
    dtype: DType


class Event(Part):
    """A request that a version answers. hash: keyed, of its id. fingerprint: keyed, of its content."""

    hash: str
    fingerprint: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_hash(cls, given: object) -> object:
        return {"hash": given} if isinstance(given, str) else given


class Held(Event):
    """A request that is not carried out for now. since: when it came. reason: names no subject."""

    since: AwareDatetime
    reason: str


class ErasedRows(Part):
    """Rows that were erased within a minute. minute: when it began."""

    minute: AwareDatetime
    rows: PositiveInt


class ProvenBound(Part):
    """The newest proof: of a version that was published at `time`, and of what it retained then."""

    version: PositiveInt
    time: AwareDatetime
    rms_bound: FiniteFloat
    relative_gap: FiniteFloat


class Residual(Part):
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

    @staticmethod
    def of_training(reason: str) -> Residual:
        """What a version owes that was just trained. reason: why training stopped."""
        owed = {"total": 0.0, "batch_energy": 0.0, "added_energy": 0.0}
        return Residual(influence=None, settled=None, method="training", reason=reason, **owed)
