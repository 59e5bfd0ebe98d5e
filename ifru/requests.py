"""Requests to forget: how they are written, and which rows they mean."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ifru.errors import RequestError
from ifru.interactions.dataset import Dataset, Deletion

Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=1024)]

Identity = tuple[str, str]
"""(source, id) of a request."""


class _Request(BaseModel):
    """id, source: two requests are the same one if both agree; a source is only needed where ids of several clash."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Name
    source: Annotated[str, StringConstraints(strict=True, max_length=1024)] = ""
    time: AwareDatetime

    @property
    def identity(self) -> Identity:
        """What tells this request from any other."""
        return self.source, self.id

    @property
    def content(self) -> dict[str, object]:
        """What is asked for: everything but id, source and time."""
        return self.model_dump(exclude={"id", "source", "time"})


class EraseUser(_Request):
    """Forget a user: every row of theirs, trained on or held out."""

    type: Literal["erase_user"]
    subject: Name


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
        return {**super().content, "interactions": sorted(set(self.interactions))}


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


Request = EraseUser | EraseItem | EraseInteractions | Release
REQUEST_TYPES = ("erase_user", "erase_item", "erase_interactions", "release")
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
    if kind in ("model_attributes_type", "model_type", "dict_type"):
        raise RequestError("payload", "is not a JSON object")
    field = ".".join(str(part) for part in first["loc"][1:]) or "payload"
    raise RequestError(field, "is missing" if kind == "missing" else first["msg"])


def resolve(request: Request, dataset: Dataset) -> Deletion:
    """The rows that a request means in a data set; none where its subject is unknown or has been erased."""
    match request:
        case EraseUser():
            user = dataset.users.row(request.subject)
            return Deletion.nothing() if user is None else dataset.of_user(user)
        case EraseItem():
            item = dataset.items.row(request.subject)
            return Deletion.nothing() if item is None else dataset.of_item(item)
        case EraseInteractions():
            rows = ((dataset.users.row(user), dataset.items.row(item)) for user, item in request.interactions)
            return Deletion.union(
                dataset.of_pair(user, item) for user, item in rows if user is not None and item is not None
            )
        case Release():
            return Deletion.nothing()
