"""`python -m benchmarks.limited`: a daemon whose memory is limited.

A real `ifrud` deletes, refines and proves; its resident memory is read from outside, many times a second. To have the
kernel hold it to the limit as well, run all of it under one: `systemd-run --scope -p MemoryMax=2G python -m …`, once
with --keep before, since training takes more.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Annotated

import torch
import typer

from benchmarks.cells import duration, table
from benchmarks.facts import machine
from benchmarks.figure import panels
from benchmarks.runner import Result, Run, benchmark, execute
from ifru.errors import IfruError
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models import MFConfig
from ifru.snapshots import FullState, Manifest, Reader, Residual, Writer, open_store
from ifru.training import fit
from ifrud.prover import RMS_BOUND

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STAGES = ("ready", "a user deleted", "refined", "proven", "another deleted")
_MIB = 1 << 20
_TIMEOUT = 3600.0
_LOOK = 0.02


@dataclass(frozen=True)
class Size:
    """A generated data set and its model."""

    users: int
    items: int
    interactions: int
    rank: int
    l2: float


@dataclass
class Course:
    """What a daemon took. seconds, resident: of each look at it, resident as the peak since the last.

    marks: by when it had done what, and the most that it had taken by then. log: what it said of its memory.
    """

    limit: int | None
    seconds: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    marks: list[tuple[str, float, int]] = field(default_factory=list)
    proven: bool = False
    log: list[str] = field(default_factory=list)

    @property
    def peak(self) -> int:
        return max(self.resident)


@benchmark("limited.png")
def main(
    run: Run,
    mib: Annotated[list[int] | None, typer.Option(min=0, help="Limits; 0: none. May be repeated.")] = None,
    users: Annotated[int, typer.Option(min=1)] = 20_000,
    items: Annotated[int, typer.Option(min=1)] = 4_684,
    interactions: Annotated[int, typer.Option(min=1, help="To train on.")] = 768_000,
    rank: Annotated[int, typer.Option(min=1)] = 96,
    l2: Annotated[float, typer.Option(min=0)] = 0.1,
) -> Result:
    """Have a daemon delete, refine and prove within a limit of memory. Trains a model first, which takes minutes."""
    size = Size(*((400, 300, 8_000, 8) if run.quick else (users, items, interactions, rank)), l2)
    with TemporaryDirectory() as temporary:
        kept = run.keep or Path(temporary)
        base = kept / f"limited-{size.users}-{size.items}-{size.interactions}-{size.rank}-{size.l2:g}-{run.seed}"
        if not base.exists():
            train(size, run.seed, base, run.report)
        courses = [observe(base, limit * _MIB or None, run.report) for limit in mib or [2048]]
    known = {**asdict(size), **machine()}
    document = {"asked": known, "courses": [asdict(course) for course in courses]}
    return Result("A daemon whose memory is limited", known, markdown(courses), document, draw(courses))


def train(size: Size, seed: int, base: Path, report: Callable[[str, float | None], None]) -> None:
    """Version 1 of a model on generated ratings, in a folder."""
    report("training", None)
    recorded = generate(size.users, size.items, round(size.interactions / 0.98), seed)
    dataset = split(recorded, LabelRule.parse("rating>=4"), holdout=0.02, seed=seed)
    config = MFConfig(rank=size.rank, l2=size.l2)
    trained = fit(dataset.train, config, seed=seed, device=torch.device("cpu"), dtype=torch.float32)
    writer = Writer(open_store(base.as_uri()), lambda: datetime.now(UTC), lambda: "trained")
    energies = {"batch_energy": 0.0, "added_energy": 0.0, "method": "training", "reason": trained.reason}
    residual = Residual(influence=None, settled=None, total=0.0, **energies)
    writer.start(FullState(config, trained.parameters, dataset), {}, residual)


def observe(base: Path, limit: int | None, report: Callable[[str, float | None], None]) -> Course:
    """A daemon on a copy of a store: it deletes a user, refines, proves, and deletes another one.

    Raises IfruError where it ends, or has not done all that within an hour.
    """
    course = Course(limit)
    with TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(["cp", "-r", str(base), str(folder / "store")], check=True)
        reader = Reader(open_store((folder / "store").as_uri()))

        def newest() -> Manifest:
            return reader.manifest(reader.newest())

        with _daemon(folder, limit) as process:
            start = perf_counter()

            def until(done: Callable[[], bool]) -> None:
                what = STAGES[len(course.marks)]
                report(f"{'no limit' if limit is None else f'{limit // _MIB} MiB'}: {what}", None)
                while not done():
                    _look(process, folder, start, course)
                course.marks.append((what, course.seconds[-1], max(course.resident)))

            until(lambda: _said(folder, "ready"))
            _ask(folder, "u1")
            until(lambda: _receipts(folder) == 1)
            until(lambda: newest().residual.method == "global" and not newest().events)
            until(lambda: RMS_BOUND in newest().quality or _said(folder, "nothing is"))
            course.proven = RMS_BOUND in newest().quality
            _ask(folder, "u2")
            until(lambda: _receipts(folder) == 2)
        course.log = [line["event"] for line in _log(folder) if "may be taken" in line["event"]]
    return course


@contextmanager
def _daemon(folder: Path, limit: int | None) -> Iterator[subprocess.Popen[bytes]]:
    streams = {"events": "events", "receipts": "receipts", "dead-letters": "dead"}
    flags = [part for flag, name in streams.items() for part in (f"--{flag}", (folder / f"{name}.jsonl").as_uri())]
    flags += ["--store", (folder / "store").as_uri(), "--admin-port", "0"]
    flags += ["--set", f"memory_bytes={'null' if limit is None else limit}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "ifrud", "run", *flags], stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _look(process: subprocess.Popen[bytes], folder: Path, start: float, course: Course) -> None:
    sleep(_LOOK)
    if process.poll() is not None or perf_counter() - start > _TIMEOUT:
        ended = "has not come that far" if process.poll() is None else f"ended with {process.returncode}"
        raise IfruError(f"the daemon {ended}; it said: {_log(folder)[-1:]}")
    course.seconds.append(perf_counter() - start)
    status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    # The peak since the last look, so that what comes and goes in between is seen too.
    course.resident.append(next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM:")))
    with suppress(OSError):
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def _ask(folder: Path, user: str) -> None:
    event = {"id": user, "time": datetime.now(UTC).isoformat(), "type": "erase_user", "subject": user}
    with (folder / "events.jsonl").open("a") as events:
        events.write(json.dumps(event) + "\n")


def _receipts(folder: Path) -> int:
    file = folder / "receipts.jsonl"
    return len({json.loads(line)["request_id"] for line in _whole_lines(file)})


def _said(folder: Path, start: str) -> bool:
    return any(line["event"].startswith(start) for line in _log(folder))


def _log(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in _whole_lines(folder / "log")]


def _whole_lines(file: Path) -> list[bytes]:
    return file.read_bytes().rpartition(b"\n")[0].splitlines() if file.exists() else []


def markdown(courses: Sequence[Course]) -> str:
    """A row for each limit, and what the daemon said of it."""
    rows = [
        (
            "none" if course.limit is None else f"{course.limit // _MIB:,} MiB",
            f"{course.peak // _MIB:,} MiB",
            "yes" if course.proven else "no room",
            *(f"{duration(seconds)}, {highest // _MIB:,} MiB" for _, seconds, highest in course.marks),
        )
        for course in courses
    ]
    said = "".join(f"- {line}\n" for course in courses for line in course.log)
    return f"{table(('limit', 'most resident', 'proven', *STAGES), rows)}\n\n{said}"


def draw(courses: Sequence[Course]) -> Figure:
    """Resident memory against time. Raises IfruError where Matplotlib is not installed."""
    whole, ((panel,),) = panels("A daemon whose memory is limited", 1, 1, 10, 5)
    for course in courses:
        name = "no limit" if course.limit is None else f"{course.limit // _MIB:,} MiB"
        (line,) = panel.plot(course.seconds, [size / _MIB for size in course.resident], label=name)
        if course.limit is not None:
            panel.axhline(course.limit / _MIB, color=line.get_color(), linestyle=":")
    panel.set(xlabel="seconds since its start", ylabel="resident memory, MiB", ylim=(0, None))
    panel.legend(fontsize="small")
    return whole


if __name__ == "__main__":
    execute(main)
