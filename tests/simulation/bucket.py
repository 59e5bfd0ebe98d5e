"""A bucket, and one process's way to it, on which requests fail, are answered too late, or end the process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

from ifru.snapshots import AlreadyExists, NotFound, StoreError
from tests.simulation.chance import Chance

DIGITS = 12
_PERSONAL = ("model/", "data/")
T = TypeVar("T")


class Crash(BaseException):
    """The process is dead: nothing that it does has an effect any more."""


@dataclass
class Bucket:
    """Objects by path. late: creations that were given up by their sender, and may still arrive.

    created: every manifest that was ever created here, by path; what a restored backup has lost stays in it.
    purged_too_early: files of versions that were there while a collector said that they are gone, but for those that
    a writer put who did not know that its version was collected. woken: these.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    late: list[tuple[str, bytes]] = field(default_factory=list)
    created: dict[str, bytes] = field(default_factory=dict)
    purged_too_early: list[str] = field(default_factory=list)
    woken: set[str] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)

    def create(self, path: str, data: bytes) -> None:
        with self.lock:
            if path in self.objects:
                raise AlreadyExists(f"{path}: exists already")
            self.objects[path] = data
            if path.startswith("manifests/"):
                self.created[path] = data
            if path.startswith("purged/"):
                older = (each for each in self.objects if each.startswith(_PERSONAL) and each not in self.woken)
                number = path.removeprefix("purged/")[:DIGITS]
                self.purged_too_early += [each for each in older if each.split("/")[1][:DIGITS] < number]

    def put(self, path: str, data: bytes) -> None:
        if path.startswith(_PERSONAL):
            manifest = self.objects.get(f"manifests/{path.split('/')[1][:DIGITS]}.json", b"")
            (self.woken.add if b'"collected"' in manifest else self.woken.discard)(path)
        self.objects[path] = data

    def deliver(self) -> None:
        """Creations that were on their way arrive."""
        waiting, self.late = self.late, []
        for path, data in waiting:
            if path not in self.objects:
                self.create(path, data)


@dataclass(frozen=True)
class Trouble:
    """How often requests to a store fail, by share; and when the process dies.

    before: not applied, an error. after: applied, an error. late: a creation that is applied later, an error.
    conflict: a creation that is refused although nothing is there. crash: the process ends, before or after.
    """

    before: float = 0.0
    after: float = 0.0
    late: float = 0.0
    conflict: float = 0.0
    crash: float = 0.0


NO_TROUBLE = Trouble()


class Access:
    """Implements `Store` for one process. pause: called ahead of each request that the process's own thread makes.

    fenced: whether another process has taken over. committed_while_fenced: manifests that it created all the same.
    """

    def __init__(self, bucket: Bucket, trouble: Trouble, chance: Chance, pause: Callable[[str], None]) -> None:
        self._bucket, self._trouble, self._chance, self._pause = bucket, trouble, chance, pause
        self.dead = self.fenced = False
        self.committed_while_fenced: list[str] = []

    def get(self, path: str) -> bytes:
        def read() -> bytes:
            try:
                return self._bucket.objects[path]
            except KeyError:
                raise NotFound(f"{path}: there is no such file") from None

        return self._read("get", path, read)

    def list(self, folder: str) -> list[str]:
        inside = f"{folder}/" if folder else ""
        return self._read("list", folder, lambda: sorted(p for p in self._bucket.objects if p.startswith(inside)))

    def exists(self, path: str) -> bool:
        return self._read("exists", path, lambda: path in self._bucket.objects)

    def put(self, path: str, data: bytes) -> None:
        self._write("put", path, lambda: self._bucket.put(path, data))

    def delete(self, path: str) -> None:
        self._write("delete", path, lambda: self._bucket.objects.pop(path, None))

    def create(self, path: str, data: bytes) -> None:
        def create() -> None:
            self._bucket.create(path, data)
            if self.fenced and path.startswith("manifests/"):
                self.committed_while_fenced.append(path)

        self._write("create", path, create, (path, data))

    def die(self) -> None:
        """End the process here."""
        self.dead = True
        raise Crash

    def _read(self, operation: str, path: str, apply: Callable[[], T]) -> T:
        self._before(operation, path)
        if self._happens(self._trouble.before, "before", operation, path):
            raise StoreError(f"{operation} {path}: fails on purpose")
        return apply()

    def _write(
        self, operation: str, path: str, apply: Callable[[], object], created: tuple[str, bytes] | None = None
    ) -> None:
        self._before(operation, path)
        if self._happens(self._trouble.before, "before", operation, path):
            raise StoreError(f"{operation} {path}: fails on purpose, not applied")
        if created and self._happens(self._trouble.conflict, "conflict", path):
            raise AlreadyExists(f"{operation} {path}: refused on purpose, not applied")
        if created and self._happens(self._trouble.late, "late", path):
            self._bucket.late.append(created)
            raise StoreError(f"{operation} {path}: fails on purpose, and is applied later")
        apply()
        if self._happens(self._trouble.crash, "crash after", operation, path):
            self.die()
        if self._happens(self._trouble.after, "after", operation, path):
            raise StoreError(f"{operation} {path}: fails on purpose, applied")

    def _before(self, operation: str, path: str) -> None:
        if self.dead:
            raise Crash
        self._pause(f"{operation} {path}")
        if self._happens(self._trouble.crash, "crash before", operation, path):
            self.die()

    def _happens(self, rate: float, *what: str) -> bool:
        return rate > 0 and self._chance.of(*what) < rate
