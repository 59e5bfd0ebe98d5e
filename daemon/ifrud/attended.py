"""The store and the outboxes as the daemon uses them: they tell whether they answer, and failures are outlasted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ifru.snapshots import AlreadyExists, NotFound, Store, StoreError
from ifrud.observe.contact import Contact
from ifrud.streams.outboxes import Outbox, OutboxError, Record

T = TypeVar("T")


class AttendedStore:
    """Implements `Store`. persist(error): asked after a read that failed whether to repeat it.

    A write is not repeated: only who sent it knows what it means that it may have been applied.
    """

    def __init__(
        self, inner: Store, contact: Contact, persist: Callable[[StoreError], bool] = lambda error: False
    ) -> None:
        self._inner = inner
        self._contact = contact
        self._persist = persist

    def get(self, path: str) -> bytes:
        return self._read(lambda: self._inner.get(path))

    def list(self, folder: str) -> list[str]:
        return self._read(lambda: self._inner.list(folder))

    def exists(self, path: str) -> bool:
        return self._read(lambda: self._inner.exists(path))

    def put(self, path: str, data: bytes) -> None:
        self._ask(lambda: self._inner.put(path, data), writing=True)

    def create(self, path: str, data: bytes) -> None:
        self._ask(lambda: self._inner.create(path, data), writing=True)

    def delete(self, path: str) -> None:
        self._ask(lambda: self._inner.delete(path), writing=True)

    def _read(self, operation: Callable[[], T]) -> T:
        while True:
            try:
                return self._ask(operation, writing=False)
            except (NotFound, AlreadyExists):
                raise
            except StoreError as error:
                if not self._persist(error):
                    raise

    def _ask(self, operation: Callable[[], T], writing: bool) -> T:
        with self._contact.asking(StoreError, (NotFound, AlreadyExists), writing):
            return operation()


class AttendedOutbox:
    """Implements `Outbox`. persist(error): asked after a failure whether to send the same records again."""

    def __init__(self, inner: Outbox, contact: Contact, persist: Callable[[OutboxError], bool]) -> None:
        self._inner = inner
        self._contact = contact
        self._persist = persist

    def send(self, records: Sequence[Record]) -> None:
        while records:
            try:
                with self._contact.asking(OutboxError, writing=True):
                    self._inner.send(records)
                return
            except OutboxError as error:
                if not self._persist(error):
                    raise

    def close(self) -> None:
        self._inner.close()
