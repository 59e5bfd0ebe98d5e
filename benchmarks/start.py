"""Cold and warm starts: processes that find no compiled loops, and the same once these are on disk.

    python -m benchmarks.start                 # everything, the demo too
    python -m benchmarks.start --no-demo

Seconds of the wall clock, and of the processor: of a process with all that it starts. A daemon is asked for one request
of each kind, one after the other, as soon as it is ready.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated
from urllib.error import URLError
from urllib.request import urlopen

import torch
import typer

from benchmarks.cells import table
from benchmarks.facts import listed, machine
from ifru.cli.output import print_json, progress
from ifru.cli.train import publish
from ifru.interactions import Dataset
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models import MFConfig
from ifru.snapshots import open_store
from ifru.training import TrainedModel, train

_POLL = 0.02


@dataclass(frozen=True)
class Started:
    """Seconds that a process took: cpu of it and what it started; events: from its start, or the last one, to each."""

    what: str
    warm: bool
    wall: float
    cpu: float
    events: Mapping[str, float]


@dataclass
class _Spent:
    """Seconds of the wall clock, and of the processor that processes started here took."""

    wall: float = 0.0
    cpu: float = 0.0


def main(
    demo: Annotated[bool, typer.Option(help="The demo as well.")] = True,
    json: Annotated[bool, typer.Option("--json", help="All figures as JSON in place of the table.")] = False,
) -> None:
    """Cold and warm starts of the daemon and its first requests, of `ifru compile` and of the demo."""
    found: list[Started] = []
    with tempfile.TemporaryDirectory() as name, progress() as report:
        folder = Path(name).resolve()
        dataset = split(generate(300, 200, 6000, seed=0), LabelRule.parse("rating>=4"), 0.1, seed=0)
        trained = train(dataset, [MFConfig(rank=16, l2=0.1)], dtype=torch.float64)
        runs: dict[str, Callable[[Mapping[str, str], Path], Mapping[str, float]]] = {
            "imports of ifrud": partial(_process, ["-c", "import ifrud.process"]),
            "ifru compile": partial(_process, ["-c", "from ifru.cli import main; main(['compile'])"]),
            "ifrud run": partial(_daemon, trained, dataset),
        }
        if demo:
            runs["ifrud demo"] = partial(_process, ["-m", "ifrud", "demo", "--generated"])
        for what, run in runs.items():
            environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / f"kept for {what}")}
            for warm in (False, True):
                report(f"{what}, {'warm' if warm else 'cold'}", None)
                with tempfile.TemporaryDirectory(dir=folder) as place, _timed() as spent:
                    events = run(environment, Path(place))
                found.append(Started(what, warm, spent.wall, spent.cpu, events))
    if json:
        print_json({"machine": machine(), "starts": [asdict(each) for each in found]})
        return
    typer.echo(f"{listed(machine())}\n\n{table(('process', 'start', 'wall clock', 'CPU', 'within it'), _rows(found))}")


def _rows(found: Sequence[Started]) -> list[tuple[str, ...]]:
    return [
        (
            each.what,
            "warm" if each.warm else "cold",
            f"{each.wall:.1f} s",
            f"{each.cpu:.1f} s",
            ", ".join(f"{name} {seconds:.2f} s" for name, seconds in each.events.items()),
        )
        for each in found
    ]


@contextmanager
def _timed() -> Iterator[_Spent]:
    """Filled in at the end."""
    spent = _Spent()
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    yield spent
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent.wall, spent.cpu = wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _process(arguments: Sequence[str], environment: Mapping[str, str], place: Path) -> Mapping[str, float]:
    """One that ends by itself. Raises CalledProcessError."""
    subprocess.run([sys.executable, *arguments], env=environment, cwd=place, capture_output=True, check=True)
    return {}


def _daemon(trained: TrainedModel, dataset: Dataset, environment: Mapping[str, str], place: Path) -> dict[str, float]:
    """A daemon, until it has answered a request of each kind: seconds until it is ready, and until each answer."""
    publish(open_store((place / "store").as_uri()), trained, dataset)
    files = {name: place / f"{name}.jsonl" for name in ("events", "receipts", "dead-letters")}
    files["events"].touch()
    flags = [part for name, path in files.items() for part in (f"--{name}", path.as_uri())]
    flags += ["--store", (place / "store").as_uri(), "--admin-port", "0", "--set", f"admin.file={place / 'address'}"]
    # So small a model forgets more than anybody would ask for within an hour.
    command = [sys.executable, "-m", "ifrud", "run", *flags, "--set", "brake_share=1"]
    found: dict[str, float] = {}
    with (place / "log").open("wb") as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as ifrud:
        try:
            began = time.monotonic()
            _wait(ifrud, partial(_ready, place / "address"))
            found["ready"] = time.monotonic() - began
            for number, request in enumerate(_requests(dataset)):
                began = time.monotonic()
                with files["events"].open("a") as stream:
                    stream.write(f"{dumps({'id': str(number), 'time': '2026-01-01T00:00:00Z', **request})}\n")
                _wait(ifrud, partial(_answered, files["receipts"], number))
                found[str(request["type"])] = time.monotonic() - began
        finally:
            ifrud.terminate()
    return found


def _requests(dataset: Dataset) -> Iterator[dict[str, object]]:
    """One of each kind, of other users and items each."""
    train = dataset.train
    pairs = [(dataset.users.name(train.user[row]), dataset.items.name(train.item[row])) for row in (0, 100)]
    yield {"type": "erase_interactions", "interactions": [pairs[0]]}
    yield {"type": "rectify", "interactions": [pairs[1]], "label": 1 - float(train.label[100])}
    yield {"type": "erase_user", "subject": dataset.users.name(5)}
    yield {"type": "erase_item", "subject": dataset.items.name(7)}
    yield {"type": "erase_before", "subject": dataset.users.name(11), "before": "2026-01-01T00:00:00Z"}


def _wait(process: subprocess.Popen[bytes], condition: partial[bool]) -> None:
    """Raises RuntimeError where a process ends before."""
    while not condition():
        if process.poll() is not None:
            raise RuntimeError(f"the daemon ended with exit code {process.returncode}")
        time.sleep(_POLL)


def _ready(address: Path) -> bool:
    try:
        with urlopen(f"{address.read_text().strip()}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, URLError):
        return False


def _answered(receipts: Path, number: int) -> bool:
    """Whether the request of this number has a receipt of a version."""
    return receipts.exists() and len(receipts.read_text().splitlines()) > number


if __name__ == "__main__":
    typer.run(main)
