"""Requests that are held until somebody approves them, as the daemon keeps them and as the store has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import AwareDatetime, BaseModel, PositiveInt

from ifru.requests import Identity, Request
from ifru.snapshots import Event, First, Held
from ifru.snapshots.answered import short_fingerprint
from ifrud.requests.receipts import Receipt


class _Line(BaseModel):
    request: Request
    version: PositiveInt
    since: AwareDatetime
    reason: str
    fingerprint: str | None = None


@dataclass(frozen=True)
class HeldRequest:
    """A request that is held, as of a version. event: its hash and fingerprint, as it came. reason: names no subject.

    request: without pairs that were erased for another one since.
    """

    request: Request
    event: Event
    version: int
    since: datetime
    reason: str

    @staticmethod
    def read(line: bytes, event: Callable[[Request], Event]) -> HeldRequest:
        """From a line of the store. event: of a request. Raises pydantic.ValidationError for any other line."""
        found = _Line.model_validate_json(line)
        came = event(found.request)
        if found.fingerprint is not None:
            came = came.model_copy(update={"fingerprint": found.fingerprint})
        return HeldRequest(found.request, came, found.version, found.since, found.reason)

    def line(self) -> bytes:
        """One line of JSON, with all that the request asks for."""
        line = _Line(
            request=self.request,
            version=self.version,
            since=self.since,
            reason=self.reason,
            fingerprint=self.event.fingerprint,
        )
        return line.model_dump_json().encode()

    @property
    def public(self) -> Held:
        """What the manifest says of it."""
        return Held(**dict(self.event), since=self.since, reason=self.reason)

    @property
    def answer(self) -> First:
        """How it was answered, for as long as it is held."""
        return First(short_fingerprint(self.event), "held", self.version, self.since, None)

    @property
    def receipt(self) -> Receipt:
        """The receipt that it got when it was held."""
        return Receipt.of(self.request.identity, "held", self.version, self.since, None, self.reason)


def identities(lines: Iterable[bytes]) -> list[Identity]:
    """(source, id) of the requests in lines of the store. Raises pydantic.ValidationError."""
    return [_Line.model_validate_json(line).request.identity for line in lines]


NOTHING_HELD: Final[Mapping[Identity, HeldRequest]] = {}
