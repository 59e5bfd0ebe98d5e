"""Requests to forget, and to correct: how they are written, and which rows they mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ifru.errors import RequestError
from ifru.interactions.dataset import Dataset, Deletion, Ids

if TYPE_CHECKING:
    from ifru.models.config import ModelConfig

Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=1024)]

_LARGEST = 3e38
"""Labels are stored in single precision."""

Identity = tuple[str, str]
"""(source, id) of a request."""


class _Request(BaseModel):
    """id, source: two requests are the same one if both agree; a source is only needed where ids of several clash.

    deadline: until when it has to be answered; it is shown, and changes nothing else.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Name
    source: Annotated[str, StringConstraints(strict=True, max_length=1024)] = ""
    time: AwareDatetime
    deadline: AwareDatetime | None = None

    @property
    def identity(self) -> Identity:
        """What tells this request from any other."""
        return self.source, self.id

    @property
    def content(self) -> dict[str, object]:
        """What is asked for: everything but id, source, time and deadline."""
        return self.model_dump(exclude={"id", "source", "time", "deadline"})


class EraseUser(_Request):
    """Forget a user: every row of theirs, trained on or held out."""

    type: Literal["erase_user"]
    subject: Name


class EraseBefore(_Request):
    """Forget what a user did before a time: every such row of theirs, trained on or held out."""

    type: Literal["erase_before"]
    subject: Name
    before: AwareDatetime

    @field_validator("before")
    @classmethod
    def _in_utc(cls, before: datetime) -> datetime:
        try:
            return before.astimezone(UTC)
        except OverflowError:
            raise PydanticCustomError("time", "is before the year 1 or after the year 9999 in UTC") from None

    @property
    def content(self) -> dict[str, object]:
        """The same moment in another time zone asks for the same."""
        return {**super().content, "before": self.before.isoformat()}


class EraseItem(_Request):
    """Forget an item: every row of it, trained on or held out."""

    type: Literal["erase_item"]
    subject: Name


class EraseInteractions(_Request):
    """Forget single interactions, given as (user id, item id)."""

    type: Literal["erase_interactions"]
    interactions: Annotated[list[tuple[Name, Name]], Field(min_length=1)]

    @property
    def content(self) -> dict[str, object]:
        """Neither the order of the pairs nor how often one is named changes what is asked for."""
        return {"type": self.type, "interactions": sorted(set(self.interactions))}


class Rectify(_Request):
    """Correct the label of single interactions, given as (user id, item id)."""

    type: Literal["rectify"]
    interactions: Annotated[list[tuple[Name, Name]], Field(min_length=1)]
    label: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-_LARGEST, le=_LARGEST)]

    @property
    def content(self) -> dict[str, object]:
        """As of `EraseInteractions`."""
        return {**super().content, "interactions": sorted(set(self.interactions))}


class Named(BaseModel):
    """What names a request: the id and the source that it was sent with."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Name
    source: Annotated[str, StringConstraints(strict=True, max_length=1024)] = ""


class _Decision(_Request):
    """About a request that is held, because it would erase much. It erases nothing by itself."""

    request: Named

    @property
    def named(self) -> Identity:
        """The request that is meant."""
        return self.request.source, self.request.id


class Approve(_Decision):
    """Have a request carried out that is held."""

    type: Literal["approve"]


class Reject(_Decision):
    """Have a request that is held never carried out."""

    type: Literal["reject"]


class Release(_Request):
    """A new consent: a user, or single interactions, may be trained on again. Erases nothing."""

    type: Literal["release"]
    subject: Name | None = None
    interactions: Annotated[list[tuple[Name, Name]], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Release:
        if (self.subject is None) == (self.interactions is None):
            raise PydanticCustomError("subject", "names either a subject or interactions")
        return self

    @property
    def content(self) -> dict[str, object]:
        """Neither the order of the pairs nor how often one is named changes what is released."""
        if self.interactions is None:
            return {"type": self.type, "subject": self.subject}
        return {"type": self.type, "interactions": sorted(set(self.interactions))}


Request = EraseUser | EraseBefore | EraseItem | EraseInteractions | Rectify | Approve | Reject | Release
Decision = Approve | Reject
REQUEST_TYPES = (
    "erase_user",
    "erase_before",
    "erase_item",
    "erase_interactions",
    "rectify",
    "approve",
    "reject",
    "release",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ADAPTER: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="type")])


def parse_request(payload: bytes | str) -> Request:
    """Read one request from JSON.

    Raises RequestError with the field that is wrong; its text holds none of the values, which may be ids.
    """
    try:
        return _ADAPTER.validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    kind = first["type"]
    if kind == "json_invalid":
        raise RequestError("payload", "is not valid JSON")
    if kind == "union_tag_not_found":
        raise RequestError("type", f"is missing; it is one of {', '.join(REQUEST_TYPES)}")
    if kind == "union_tag_invalid":
        raise RequestError("type", f"is unknown; it is one of {', '.join(REQUEST_TYPES)}")
    if kind in ("model_attributes_type", "model_type", "dict_type") and not first["loc"][1:]:
        raise RequestError("payload", "is not a JSON object")
    field = ".".join(str(part) for part in first["loc"][1:]) or "payload"
    raise RequestError(field, "is missing" if kind == "missing" else first["msg"])


def resolve(request: Request, dataset: Dataset) -> Deletion:
    """The rows that a request means in a data set; none where its subject is unknown or has been erased."""
    match request:
        case EraseInteractions() | Rectify():
            user_of, item_of = dataset.users.row, dataset.items.row
            known = [
                (user, item)
                for named_user, named_item in request.interactions
                if (user := user_of(named_user)) is not None and (item := item_of(named_item)) is not None
            ]
            return dataset.relabelled(known, request.label) if isinstance(request, Rectify) else dataset.of_pairs(known)
        case EraseUser():
            user = dataset.users.row(request.subject)
            return Deletion.nothing() if user is None else dataset.of_user(user)
        case EraseBefore():
            user = dataset.users.row(request.subject)
            before = (request.before - _EPOCH) // timedelta(microseconds=1)
            return Deletion.nothing() if user is None else dataset.of_user_before(user, before)
        case EraseItem():
            item = dataset.items.row(request.subject)
            return Deletion.nothing() if item is None else dataset.of_item(item)
        case Approve() | Reject() | Release():
            return Deletion.nothing()


def refusal(request: Request, dataset: Dataset, config: ModelConfig, relabels: bool = True) -> RequestError | None:
    """Why a request cannot be carried out on a data set and a model of it; None where it can.

    relabels: whether the model's objective takes other labels.
    """
    if isinstance(request, EraseBefore) and dataset.train.time is None:
        return RequestError(
            "before",
            "the model's data has no times, so nothing tells which rows are older; send erase_user for all rows of the "
            "user, or erase_interactions with the pairs",
        )
    if isinstance(request, Rectify) and not relabels:
        return RequestError(
            "type",
            f"is rectify, and the objective of the model {config.name} takes no other labels; have its author "
            "implement `Objective.relabel`, or send erase_interactions and train anew with the right labels",
        )
    if isinstance(request, Rectify) and config.loss == "bpr":
        return RequestError(
            "type",
            "is rectify, and labels say nothing to this model: its loss, bpr, knows only which interactions "
            "there are; send erase_interactions for those that were none",
        )
    if isinstance(request, Rectify) and config.loss == "bce" and not 0 <= request.label <= 1:
        return RequestError("label", "is not between 0 and 1, as labels of a model with the loss bce are")
    return None


def near_miss(request: Request, dataset: Dataset) -> bool:
    """Whether a request that means no rows has ids that the data set knows in another spelling only.

    Spellings differ in case, Unicode composition (NFC), surrounding blanks and leading zeros.
    """
    users, items = dataset.users, dataset.items
    match request:
        case EraseUser() | EraseBefore():
            return _known(users, request.subject) == "near"
        case EraseItem():
            return _known(items, request.subject) == "near"
        case EraseInteractions() | Rectify():
            known = ((_known(users, user), _known(items, item)) for user, item in request.interactions)
            return any("near" in pair and "no" not in pair for pair in known)
        case Approve() | Reject() | Release():
            return False


def _known(ids: Ids, name: str) -> Literal["yes", "near", "no"]:
    if ids.row(name) is not None:
        return "yes"
    return "near" if ids.near(name) else "no"
