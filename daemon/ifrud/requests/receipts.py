"""Receipts: how a request was answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Literal, cast
from uuid import UUID, uuid5

from pydantic import AwareDatetime, BaseModel, ConfigDict

from ifru.requests import Identity
from ifru.snapshots import First, State
from ifrud.streams.outboxes import Record

AnswerState = Literal["published", "nothing_to_erase", "failed", "held", "purged"]
ReceiptState = Literal[AnswerState, "proven"]
_LEFT_OUT = {"near_miss", "erased", "reason", "bound", "left_at_most"}
"""Fields that are not written where they have their default."""

_TOLD = {"near_miss": "nothing_to_erase", "granted": "published"}
_NAMESPACE = UUID("cd70bcbf-9c51-42d7-a700-a080769b9602")


class Receipt(BaseModel):
    """How a request was answered. It names the request, never the subject.

    request_id, source: of the request, as it came.
    id: computed from request, state and version, so that a repeated receipt can be recognised.
    published: `version` is the first that does not hold the subject's rows any more, and it is durable.
    nothing_to_erase: there was nothing of the subject in `version`.
    failed: the engine found no update, or an operator rejected what was held. Nothing was erased, and a dead letter
    says why; sent again, it is tried again.
    purged: nothing stored holds any more what `version` erased for the request; `time`: since when, at the latest.
    proven: what `version` says of the pairs that were erased for the request, in sum, is at most `bound` from what the
    exactly retrained model says, and that is at most a share `left_at_most` of the change; left out otherwise.
    held: it would erase more than the brake allows, as `reason` says, and is carried out once somebody approves it;
    then there is another receipt.
    residual_influence: of the batch that the request was in; 0 is the retrained model, 1 is nothing forgotten.
    near_miss: there was nothing of the subject, but of one whose id differs in spelling only. Left out where false.
    erased: false for decisions and releases that are `published`: what was erased is said by other receipts. Left out
    where true.
    """

    model_config = ConfigDict(frozen=True)

    id: UUID
    request_id: str
    source: str = ""
    state: ReceiptState
    version: int
    time: AwareDatetime
    residual_influence: float | None
    near_miss: bool = False
    erased: bool = True
    reason: str | None = None
    bound: float | None = None
    left_at_most: float | None = None

    @staticmethod
    def of(
        request: Identity,
        state: State,
        version: int,
        time: datetime,
        residual_influence: float | None,
        reason: str | None = None,
    ) -> Receipt:
        """A receipt with its id. state: as it is remembered. time: when the version was computed.

        residual_influence: of the whole batch.
        """
        source, request_id = request
        told = cast("ReceiptState", _TOLD.get(state, state))
        return Receipt(
            id=_id(request, told, version),
            request_id=request_id,
            source=source,
            state=told,
            version=version,
            time=time.astimezone(UTC),
            residual_influence=residual_influence if told == "published" else None,
            near_miss=state == "near_miss",
            erased=state != "granted",
            reason=reason,
        )

    @staticmethod
    def proven(request: Identity, version: int, time: datetime, bound: float, left: float) -> Receipt:
        """A receipt of what is proven about a version. left: at most."""
        source, request_id = request
        return Receipt(
            id=_id(request, "proven", version),
            request_id=request_id,
            source=source,
            state="proven",
            version=version,
            time=time.astimezone(UTC),
            residual_influence=None,
            bound=bound,
            left_at_most=left,
        )

    @staticmethod
    def first(request: Identity, answer: First) -> Receipt:
        """The receipt that a request got when it was answered."""
        return Receipt.of(request, answer.state, answer.version, answer.time, answer.residual)

    @property
    def answer(self) -> State:
        """What is remembered of it: all that tells it from other receipts of its version. Proofs are not remembered."""
        assert self.state != "proven"
        return "near_miss" if self.near_miss else self.state if self.erased else "granted"

    @property
    def request(self) -> Identity:
        """Which request this answers."""
        return self.source, self.request_id

    @staticmethod
    def read(line: bytes) -> Receipt:
        """A receipt from its line in a ledger or an outbox. Raises pydantic.ValidationError for any other line."""
        return Receipt.model_validate_json(line)

    def line(self) -> bytes:
        """One line of JSON, without the newline. The same receipt gives the same bytes."""
        absent = _LEFT_OUT
        if self.state == "proven" or self.near_miss or not self.erased or self.reason is not None:
            absent = {name for name in _LEFT_OUT if getattr(self, name) == Receipt.model_fields[name].default}
        return self.model_dump_json(exclude=absent).encode()

    def record(self, line: bytes | None = None) -> Record:
        """The record to send; receipts of one request share a key. line: its own, where that was made before."""
        return Record(self.request_id, self.line() if line is None else line)


def _id(request: Identity, state: ReceiptState, version: int) -> UUID:
    return uuid5(_NAMESPACE, json.dumps([*request, state, version]))
