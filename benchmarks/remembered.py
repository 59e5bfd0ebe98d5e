"""`python -m benchmarks.remembered`: memory and time that remembering requests takes.

Axes: N requests, V versions that answered them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from benchmarks.cells import duration, table
from benchmarks.facts import machine
from benchmarks.figure import panels
from benchmarks.memory import peak, resident, restart_peak
from benchmarks.runner import Result, Run, benchmark, execute
from ifru.requests import EraseUser
from ifru.snapshots import File, Segment
from ifru.snapshots import Run as Answers
from ifru.snapshots.answered import NOTHING, SEGMENT_REQUESTS, AnswerRows, short_fingerprint, short_hashes
from ifru.snapshots.parquet import decode_answered, encode_answered
from ifrud.freed import release_freed
from ifrud.requests.answered import Answered
from ifrud.requests.answers import recognise
from ifrud.requests.dead_letters import Letters
from ifrud.requests.intake import Arrival, Intake
from ifrud.streams.sources import Event

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = (100_000, 1_000_000, 10_000_000)
REPLAYS = 10_000
_KEY = b"key"
_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_SECONDS = 90 * 24 * 3600
_MIB = 1 << 20


@dataclass(frozen=True)
class Point:
    """What so many remembered requests take.

    segments: files. stored: bytes of all files. added, peak: bytes of the process, at rest and while it starts.
    start: seconds to read the files. replays: seconds to answer REPLAYS requests that are sent again.
    """

    requests: int
    versions: int
    segments: int
    stored: int
    index: int
    added: int | None
    peak: int | None
    start: float
    replays: float


@benchmark("remembered.png")
def main(
    run: Run,
    size: Annotated[
        list[int] | None, typer.Option(min=REPLAYS, help="Requests; may be repeated.", show_default="1e5, 1e6, 1e7")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Requests that one version has answered.")] = 10,
) -> Result:
    """Remember requests, and answer 10,000 that are sent again, in random order: memory and time.

    The files are written to a folder for temporary files and read again, as by a daemon that starts.
    """
    found = [measure(count, batch, run.seed, run.report) for count in size or (SIZES[:1] if run.quick else SIZES)]
    known = {"requests_in_a_version": batch, "replays": REPLAYS, **machine()}
    document = {"asked": known, "points": [asdict(point) for point in found]}
    return Result("Requests that are remembered", known, markdown(found), document, draw(found))


def measure(count: int, batch: int, seed: int, report: Callable[[str, float | None], None]) -> Point:
    """Write the files of `count` requests, read them as a daemon does that starts, and send REPLAYS again."""
    with TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as fresh:
        report(f"writing {count:,} requests", None)
        segments = list(_written(Path(folder), count, batch, seed))
        report(f"reading {count:,} requests", None)
        # What this process has freed would take up what the index needs.
        return fresh.submit(_read, Path(folder), segments, -(-count // batch), seed).result()


def _requests() -> list[EraseUser]:
    return [EraseUser(type="erase_user", id=f"r{n}", subject=f"u{n}", time=_TIME) for n in range(REPLAYS)]


def _read(folder: Path, segments: Sequence[Segment], versions: int, seed: int) -> Point:
    # What is imported late, and taken once by whoever reads any Parquet file, is no part of it.
    decode_answered(encode_answered(NOTHING))
    counted, before = restart_peak(), resident()
    start = perf_counter()
    answered = Answered(_KEY, 90)
    for segment in segments:
        answered.load(segment, decode_answered((folder / segment.path).read_bytes()))
    release_freed()
    started, highest, after = perf_counter() - start, peak(), resident()
    requests, event = _requests(), Event(None, None, (), 0, 0, 1, 0.0)
    order = np.random.default_rng(seed).permutation(REPLAYS)
    intake = Intake([Arrival(requests[place], event) for place in order], [])
    start = perf_counter()
    recognised = recognise(intake, answered, Letters("events", lambda: _TIME), lambda request: None)
    lines = [receipt.line() for receipt in recognised.repeated.values()]
    replays = perf_counter() - start
    if len(lines) != REPLAYS or recognised.fresh:
        raise AssertionError(f"{len(lines)} of {REPLAYS} requests were known")
    return Point(
        requests=len(answered),
        versions=versions,
        segments=len(segments),
        stored=sum(segment.size for segment in segments),
        index=answered.nbytes,
        added=None if before is None or after is None else after - before,
        peak=highest - before if counted and highest is not None and before is not None else None,
        start=started,
        replays=replays,
    )


def _written(folder: Path, count: int, batch: int, seed: int) -> Iterator[Segment]:
    """Segments of random requests, with those that are sent again spread evenly among them."""
    random, answered = np.random.default_rng(seed), Answered(_KEY, 90)
    events = [answered.event(request) for request in _requests()]
    hashes = random.integers(0, 2**64, count, dtype=np.uint64)
    fingerprints = random.integers(1, 2**32, count, dtype=np.uint32)
    places = np.linspace(0, count - 1, REPLAYS).astype(np.int64)
    hashes[places] = short_hashes(events)
    fingerprints[places] = [short_fingerprint(event) for event in events]
    for first in range(0, count, SEGMENT_REQUESTS):
        size = min(SEGMENT_REQUESTS, count - first)
        batches = (first + np.arange(size)) // batch
        residuals = random.random(-(-count // batch), dtype=np.float32)
        rows = AnswerRows(
            hash=hashes[first : first + size],
            fingerprint=fingerprints[first : first + size],
            state=np.zeros(size, dtype=np.uint8),
            # With a refinement and a proof after each.
            version=3 * batches + 2,
            time=1_700_000_000_000_000 + batches * (_SECONDS * 1_000_000 * batch // count),
            residual=residuals[batches].astype(np.float64),
        )
        data = encode_answered(Answers.of(rows))
        last = int(rows.version[-1])
        file = File.of("answered", last, "measured", data)
        (folder / file.path).parent.mkdir(exist_ok=True)
        (folder / file.path).write_bytes(data)
        span = {"first": int(rows.version[0]), "last": last, "newest": _TIME + timedelta(seconds=first)}
        yield Segment(**dict(file), **span, count=size)


def markdown(points: Sequence[Point]) -> str:
    """A row for each number of requests."""
    rows = [
        (
            f"{point.requests:,}",
            f"{point.segments}, {_mib(point.stored)}",
            _mib(point.index),
            _mib(point.added),
            _mib(point.peak),
            duration(point.start),
            duration(point.replays),
        )
        for point in points
    ]
    columns = ("requests", "files", "index", "resident memory added", "at most while starting", "start", "replays")
    return table(columns, rows) + "\n"


def draw(points: Sequence[Point]) -> Figure:
    """Memory and time against requests. Raises IfruError where Matplotlib is not installed."""
    whole, ((memory, time),) = panels("Requests that are remembered", 1, 2, 12, 5)
    requests = [point.requests for point in points]
    memory.plot(requests, [point.index / _MIB for point in points], marker="o", label="index")
    memory.plot(requests, [(point.added or 0) / _MIB for point in points], marker="s", label="resident memory added")
    time.plot(requests, [point.replays for point in points], marker="o", label=f"answering {REPLAYS:,} replays")
    time.plot(requests, [point.start for point in points], marker="s", label="reading the files")
    for panel, label in ((memory, "MiB"), (time, "seconds")):
        panel.set(xscale="log", yscale="log", xlabel="requests", ylabel=label)
        panel.legend(fontsize="small")
    return whole


def _mib(size: int | None) -> str:
    return "" if size is None else f"{size / _MIB:,.0f} MiB"


if __name__ == "__main__":
    execute(main)
