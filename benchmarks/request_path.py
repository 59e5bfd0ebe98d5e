"""`python -m benchmarks.request_path`: processor time that an event takes besides the engine, by rows of the data.

Axes: N interactions, P recorded pairs, each with a sampled negative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from time import process_time
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from pydantic_core import to_json

from benchmarks.cells import table
from benchmarks.facts import machine
from benchmarks.figure import panels
from benchmarks.runner import Result, Run, benchmark, execute
from benchmarks.size.grown import shape
from ifru.interactions import Columns, Dataset, Ids, Interactions
from ifrud.requests.answered import Answered
from ifrud.requests.answers import answer, recognise
from ifrud.requests.brake import Brake
from ifrud.requests.changes import Changes
from ifrud.requests.dead_letters import Letters
from ifrud.requests.intake import Decoder
from ifrud.settings import DecodeSettings
from ifrud.streams.sources import Event

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = (1_400_000, 10_000_000)
BATCHES = (1, 100, 10_000)
EVENTS = 20_000
_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_HELD_OUT = 0.05
_STAGES = ("decode", "recognise", "resolve", "receipts")


@dataclass(frozen=True)
class Point:
    """Seconds of the processor for each event, all of which erase one interaction, in batches of a size.

    decode: from bytes to requests. recognise: whether each was answered before. resolve: its rows, and what the brake
    says. receipts: as bytes.
    """

    rows: int
    batch: int
    decode: float
    recognise: float
    resolve: float
    receipts: float


@benchmark("request_path.png")
def main(
    run: Run,
    rows: Annotated[
        list[int] | None, typer.Option(min=1000, help="May be repeated.", show_default="1.4e6, 1e7")
    ] = None,
    batch: Annotated[list[int] | None, typer.Option(min=1, help="May be repeated.", show_default="1, 100, 1e4")] = None,
) -> Result:
    """Events that erase one interaction each: what reading, finding and answering them takes, without the engine.

    The data are generated, with a sampled negative for each recorded pair. Nothing is erased, so every batch meets the
    same data.
    """
    sizes = rows or (ROWS[:1] if run.quick else ROWS)
    found = [point for size in sizes for point in measure(size, batch or BATCHES, run.seed, run.report)]
    known = {"events": EVENTS, **machine()}
    document = {"asked": known, "points": [asdict(point) for point in found]}
    return Result("The path of a request", known, markdown(found), document, draw(found))


def measure(
    rows: int, batches: Sequence[int], seed: int, report: Callable[[str, float | None], None], events: int = EVENTS
) -> list[Point]:
    """A point for each size of a batch, on one data set of so many rows."""
    report(f"{rows:,} rows: generating", None)
    dataset = generated(rows, seed)
    sent = asked(dataset, events, seed)
    found = []
    for batch in batches:
        report(f"{rows:,} rows, batches of {batch:,}", None)
        found.append(Point(rows, batch, *(seconds / len(sent) for seconds in _stages(dataset, sent, batch))))
    return found


def generated(rows: int, seed: int) -> Dataset:
    """So many training rows at most, half of them sampled negatives, and a twentieth of them besides held out."""
    random, (users, items) = np.random.default_rng(seed), shape(rows)
    # Some items are met much more often than others.
    drawn = (items * random.random(rows // 2) ** 2).astype(np.int64)
    pairs = random.permutation(np.unique(random.integers(0, users, rows // 2) * items + drawn))
    middle = int((1 - _HELD_OUT) * len(pairs))
    train, holdout = (_table(part, users, items, random) for part in (pairs[:middle], pairs[middle:]))
    return Dataset(train, holdout, Ids(f"u{row}" for row in range(users)), Ids(f"i{row}" for row in range(items)))


def _table(pairs: np.ndarray, users: int, items: int, random: np.random.Generator) -> Interactions:
    """pairs: int64 [P], numbered over users and then items."""
    count = len(pairs)
    user, item = (pairs // items).astype(np.int32), (pairs % items).astype(np.int32)
    columns = Columns(
        user=np.tile(user, 2),
        item=np.concatenate([item, random.integers(0, items, count, dtype=np.int32)]),
        label=np.repeat(np.array([1, 0], dtype=np.float32), count),
        weight=np.ones(2 * count, dtype=np.float32),
        time=None,
        origin=np.tile(np.arange(count), 2),
    )
    return Interactions(columns, users, items)


def asked(dataset: Dataset, count: int, seed: int) -> list[Event]:
    """Events that ask to erase recorded pairs, drawn at random."""
    train = dataset.train
    recorded = np.flatnonzero(train.recorded)
    rows = np.random.default_rng(seed).choice(recorded, min(count, len(recorded)), replace=False)
    events = []
    for place, (user, item) in enumerate(zip(train.user[rows].tolist(), train.item[rows].tolist(), strict=True)):
        request = {
            "id": f"r{place}",
            "type": "erase_interactions",
            "time": _TIME.isoformat(),
            "interactions": [[dataset.users.name(user), dataset.items.name(item)]],
        }
        events.append(Event(to_json(request), None, (), 0, place, place + 1, _TIME.timestamp()))
    return events


def _stages(dataset: Dataset, events: Sequence[Event], batch: int) -> list[float]:
    """Seconds of the processor for all events, by stage."""
    letters = Letters("events", lambda: _TIME)
    decoder = Decoder(letters, Changes(DecodeSettings(), "events"), max_bytes=1 << 20, max_bad=1)
    answered, brake = Answered(b"key", 90), Brake(share=1.0)
    seconds = np.zeros(len(_STAGES))
    for first in range(0, len(events), batch):
        times = [process_time()]
        intake = decoder.decode(events[first : first + batch])
        times.append(process_time())
        recognised = recognise(intake, answered, letters, lambda request: None)
        times.append(process_time())
        answers = answer(recognised, dataset, brake, _TIME)
        times.append(process_time())
        records = [receipt.record() for receipt in answers.receipts(2, _TIME, 0.1)]
        times.append(process_time())
        seconds += np.diff(times)
        if len(records) != len(recognised.fresh) or answers.count("published") != len(records):
            raise AssertionError(f"of {len(intake.arrivals)} interactions {answers.count('published')} were found")
    return [float(each) for each in seconds]


def markdown(points: Sequence[Point]) -> str:
    """A row for each size of the data and of a batch."""
    rows = [
        (f"{point.rows:,}", f"{point.batch:,}", *(f"{1e6 * getattr(point, stage):.1f} µs" for stage in _STAGES))
        for point in points
    ]
    return table(("rows", "events in a batch", *_STAGES), rows) + "\n"


def draw(points: Sequence[Point]) -> Figure:
    """Time against the size of a batch. Raises IfruError where Matplotlib is not installed."""
    whole, (shown,) = panels("The path of a request", 1, len(_STAGES), 16, 4)
    for panel, stage in zip(shown, _STAGES, strict=True):
        for rows in sorted({point.rows for point in points}):
            some = [point for point in points if point.rows == rows]
            times = [1e6 * getattr(point, stage) for point in some]
            panel.plot([point.batch for point in some], times, marker="o", label=f"{rows:,} rows")
        panel.set(xscale="log", xlabel="events in a batch", ylabel="µs for each event", title=stage)
        panel.legend(fontsize="small")
    return whole


if __name__ == "__main__":
    execute(main)
