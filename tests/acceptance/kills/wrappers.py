"""Store, source and outbox of a process that is killed at a step of theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ifru.snapshots import Manifest, Store
from ifru.snapshots import Source as Recorded
from ifru.snapshots.format import HEAD, decode_manifest
from ifrud.streams.outboxes import Outbox, Record
from ifrud.streams.sources import Event, Source
from tests.acceptance.kills.points import REPEATED, Killer


class KillingStore:
    """Implements `Store`."""

    def __init__(self, inner: Store, killer: Killer) -> None:
        self._inner, self._killer = inner, killer

    def get(self, path: str) -> bytes:
        return self._inner.get(path)

    def list(self, folder: str) -> list[str]:
        return self._inner.list(folder)

    def exists(self, path: str) -> bool:
        return self._inner.exists(path)

    def delete(self, path: str) -> None:
        self._inner.delete(path)

    def put(self, path: str, data: bytes) -> None:
        self._killer.step(f"put {_kind(path)}", lambda: self._inner.put(path, data))

    def create(self, path: str, data: bytes) -> None:
        name = "probe" if path.startswith("probe/") else f"create {_purpose(path, data)}"
        self._killer.step(name, lambda: self._inner.create(path, data))


def _kind(path: str) -> str:
    folder, _, rest = path.partition("/")
    match folder:
        case "model":
            return rest.rpartition("/")[2].partition(".")[0]
        case "data":
            return "rows"
        case _:
            return "HEAD" if path == HEAD else folder


def _purpose(path: str, data: bytes) -> str:
    manifest = decode_manifest(data, int(path.rpartition("/")[2].partition(".")[0]))
    assert isinstance(manifest, Manifest)
    if manifest.claims is not None:
        return "claim"
    if manifest.quality:
        return "proof"
    # A batch that deletes nothing is no update.
    return "answers" if manifest.events or manifest.residual.method == "none" else "refinement"


class KillingOutbox:
    """Implements `Outbox`. Killed during a step, it has sent half of the records."""

    def __init__(self, inner: Outbox, step: str, killer: Killer) -> None:
        self._inner, self._step, self._killer = inner, step, killer

    def send(self, records: Sequence[Record]) -> None:
        first = self._step == "receipts" and not self._killer.passed("before create claim")
        half = len(records) // 2

        def work() -> None:
            for some in (records[:half], records[half:]):
                self._inner.send(some)

        self._killer.step(REPEATED if first else self._step, work)

    def close(self) -> None:
        self._inner.close()


class KillingSource:
    """Implements `Source`. room: how many events a poll asks for where none are in hand."""

    def __init__(self, inner: Source, killer: Killer, room: int) -> None:
        self.name = inner.name
        self._inner, self._killer, self._room = inner, killer, room

    def seek(self, recorded: Recorded) -> Mapping[int, int]:
        return self._killer.step("seek", lambda: self._inner.seek(recorded))

    def recorded(self, positions: Mapping[int, int]) -> Recorded:
        return self._inner.recorded(positions)

    def poll(self, limit: int, timeout: float) -> list[Event]:
        # With no events in hand only a refinement does not wait.
        if limit == self._room and timeout == 0.0:
            self._killer.reached("during refinement")
        events = self._inner.poll(limit, timeout)
        if events:
            self._killer.reached("after poll")
        return events

    def end(self) -> Mapping[int, int]:
        return self._inner.end()

    def known_end(self) -> Mapping[int, int]:
        return self._inner.known_end()

    def heard(self) -> float | None:
        return self._inner.heard()

    def acknowledge(self, positions: Mapping[int, int]) -> None:
        self._killer.step("acknowledge", lambda: self._inner.acknowledge(positions))

    def close(self) -> None:
        self._inner.close()
