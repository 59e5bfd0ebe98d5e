"""What became of a request, from the ledgers of all versions, which are never collected."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from pydantic import AwareDatetime
from pydantic_core import to_json

from ifru.errors import IfruError
from ifru.snapshots.errors import NoVersion
from ifru.snapshots.ledger import LEDGER, decode_ledger, ledger_version
from ifru.snapshots.parts import Part
from ifru.snapshots.reader import READERS, Reader
from ifru.stores.errors import NotFound
from ifru.stores.store import Store


class UnknownRequest(IfruError):
    """A request that no version answers."""


class Answer(Part):
    """A receipt, as far as it says what became of a request. id: of the receipt. erased: false where it only allows."""

    id: str
    request_id: str
    source: str = ""
    state: str
    version: int
    time: AwareDatetime
    residual_influence: float | None = None
    near_miss: bool = False
    erased: bool = True
    reason: str | None = None
    bound: float | None = None
    left_at_most: float | None = None


def life(store: Store, request_id: str, source: str | None = None) -> list[Answer]:
    """All that a request was answered, each state once, the oldest first. source: None: whichever has sent such an id.

    Reads every ledger. Raises UnknownRequest where no version answers it, or several sources have sent one;
    CorruptFile, StoreError.
    """
    reader = Reader(store)
    found: dict[str, Answer] = {}
    for version in sorted(_versions(store, request_id)):
        try:
            lines = reader.receipts(version)
        except NoVersion:
            # An attempt that never committed.
            continue
        for line in lines:
            answer = Answer.model_validate_json(line)
            if answer.request_id == request_id:
                found.setdefault(answer.id, answer)
    sources = sorted({answer.source for answer in found.values()})
    if not sources or (source is not None and source not in sources):
        raise _unknown(request_id, source, sources)
    if source is None and len(sources) > 1:
        raise UnknownRequest(
            f"several sources have sent a request {request_id!r}; name one: --source {_named(sources)}"
        )
    chosen = [answer for answer in found.values() if answer.source == (source or sources[0])]
    return sorted(chosen, key=lambda answer: (answer.version, answer.time))


def waits_for(answers: list[Answer], base: int, purged: int) -> str | None:
    """What a request still waits for; None where nothing is left to do.

    base: of the newest version. purged: what versions up to this one erased is gone from the store.
    """
    last = [answer for answer in answers if answer.state != "proven"][-1]
    match last.state:
        case "held":
            return "a decision (ifrud approve, or ifrud reject)"
        case "failed":
            return "being sent again: nothing was erased, and a dead letter says why"
        case "published" if last.erased and last.version <= purged:
            return "its last receipt: all that it erased is gone, and the daemon says so with its next version"
        case "published" if last.erased and base < last.version:
            return f"a full version: the newest one stands on version {base}, whose files still hold what was erased"
        case "published" if last.erased:
            return f"the collection of all versions that need files older than version {last.version} (ifru collect)"
    return None


def _versions(store: Store, request_id: str) -> set[int]:
    """Versions in whose ledgers, or those of attempts at them, an id stands."""
    wanted = to_json(request_id)[1:-1]

    def holds(path: str) -> bool:
        try:
            return any(wanted in line for line in decode_ledger(store.get(path)))
        except NotFound:
            return False

    paths = {path: version for path in store.list(LEDGER) if (version := ledger_version(path)) is not None}
    with ThreadPoolExecutor(READERS) as pool:
        return {paths[path] for path, held in zip(paths, pool.map(holds, paths), strict=True) if held}


def _unknown(request_id: str, source: str | None, sources: list[str]) -> UnknownRequest:
    named = "" if source is None else f" of source {source!r}"
    elsewhere = f"; this id was sent by --source {_named(sources)}" if sources else ""
    return UnknownRequest(
        f"no version answers a request {request_id!r}{named}{elsewhere}: it was not read yet (ifrud status shows what "
        "waits), it is a dead letter (ifrud dead-letters list), or its id is another one"
    )


def _named(sources: list[str]) -> str:
    return ", ".join(map(repr, sources))
