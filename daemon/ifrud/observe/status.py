"""The daemon's status: written by the engine thread, read by the admin port."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict

from ifrud.observe.contact import Contact, Peer
from ifrud.observe.recent import Recent

State = Literal["starting", "ready", "stopping"]


class Status(BaseModel):
    """The daemon's state at one moment. Counts are since its start.

    in_hand: events that were read and are in no version yet. lag: what the source holds beyond the newest version, in
    events on Kafka, in bytes in a file; None while it is not known. away: what does not answer, and since when.
    candidates_refused: models that will not be adopted. last_refused: the last of them, and why.
    held: requests that wait for an approval. held_since, held_reason: of the oldest of them.
    """

    model_config = ConfigDict(frozen=True)

    state: State = "starting"
    away: dict[Peer, datetime | None] = {}
    started: datetime
    store: str
    source: str
    version: int | None = None
    positions: dict[int, int] = {}
    in_hand: int = 0
    lag: int | None = None
    batches: int = 0
    requests: int = 0
    nothing_to_erase: int = 0
    duplicates: int = 0
    dead_letters: int = 0
    candidates_refused: int = 0
    last_refused: str | None = None
    held: int = 0
    held_since: datetime | None = None
    held_reason: str | None = None
    deleted_interactions: int = 0
    retained_interactions: int | None = None
    holdout_interactions: int | None = None
    residual_influence: float | None = None
    residual_influence_total: float | None = None
    last_version: str | None = None
    last_version_time: datetime | None = None


class Board:
    """The newest status, what happened lately, the engine thread's heartbeat, and who answers.

    One thread writes, any thread reads.

    patience: seconds of silence after which source, store or an outbox counts as away.
    clock: seconds, never going back. utc: the time of day.
    """

    def __init__(
        self, status: Status, patience: float, clock: Callable[[], float], utc: Callable[[], datetime]
    ) -> None:
        self.contacts = {peer: Contact(peer, patience, clock, utc) for peer in get_args(Peer)}
        self.recent = Recent()
        self.utc = utc
        self._status = status
        self._clock = clock
        self._beat = clock()

    @property
    def status(self) -> Status:
        """As it is now."""
        away = {peer: contact.since for peer, contact in self.contacts.items() if contact.away}
        return self._status.model_copy(update={"away": away})

    @property
    def ready(self) -> bool:
        """Whether requests are taken, and can be answered."""
        return self._status.state == "ready" and not any(contact.away for contact in self.contacts.values())

    def beat(self) -> None:
        """Record that the engine thread is alive."""
        self._beat = self._clock()

    def silence(self) -> float:
        """Seconds since the last beat."""
        return self._clock() - self._beat

    def update(self, **changes: Any) -> None:
        """Replace the status by a copy with some fields changed."""
        self._status = self._status.model_copy(update=changes)
