"""Cold and warm starts: processes that find no compiled loops, and the same once these are on disk.

    python -m benchmarks.start

Seconds of the wall clock and of the CPU, each of a process from its start to its end.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.cells import table
from benchmarks.facts import listed, machine
from ifru.cli.output import print_json, progress
from ifru.cli.train import publish
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models import MFConfig
from ifru.snapshots import open_store
from ifru.training import train


@dataclass(frozen=True)
class Started:
    """Seconds that a process took."""

    what: str
    compiled_before: bool
    wall: float
    cpu: float


def main(
    json: Annotated[bool, typer.Option("--json", help="All figures as JSON in place of the table.")] = False,
) -> None:
    """Cold and warm starts of the daemon, of its first request, and of `ifru compile`."""
    found = []
    with tempfile.TemporaryDirectory() as name, progress() as report:
        folder = Path(name).resolve()
        for what, command in _commands(folder):
            environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / f"compiled {what}")}
            for warm in (False, True):
                report(f"{what}, {'warm' if warm else 'cold'}", None)
                found.append(Started(what, warm, *_seconds(command, environment)))
    if json:
        print_json({"machine": machine(), "starts": [asdict(each) for each in found]})
        return
    rows = [
        (each.what, "warm" if each.compiled_before else "cold", f"{each.wall:.1f} s", f"{each.cpu:.1f} s")
        for each in found
    ]
    typer.echo(f"{listed(machine())}\n\n{table(('process', 'start', 'wall clock', 'CPU'), rows)}")


def _commands(folder: Path) -> Iterator[tuple[str, Sequence[str]]]:
    """What is started, and how."""
    dataset = split(generate(300, 200, 6000, seed=0), LabelRule.parse("rating>=4"), 0.1, seed=0)
    trained = train(dataset, [MFConfig(rank=16, l2=0.1)], dtype=torch.float64)
    some = [
        {"id": "user", "type": "erase_user", "subject": "u1"},
        {"id": "item", "type": "erase_item", "subject": "i1"},
    ]
    yield "imports alone", ["-c", "import ifrud.process"]
    for what, requests in (("ifrud run, no request", []), ("ifrud run, a user and an item", some)):
        place = folder / what.replace(",", "").replace(" ", "-")
        publish(open_store((place / "store").as_uri()), trained, dataset)
        events = "".join(f"{dumps(each | {'time': '2026-01-01T00:00:00Z'})}\n" for each in requests)
        (place / "events.jsonl").write_text(events)
        names = ("events", "receipts", "dead-letters")
        flags = [part for name in names for part in (f"--{name}", (place / f"{name}.jsonl").as_uri())]
        yield (
            what,
            ["-m", "ifrud", "run", "--drain", "--store", (place / "store").as_uri(), *flags, "--admin-port", "0"],
        )
    yield "ifru compile", ["-c", "from ifru.cli import main; main(['compile'])"]


def _seconds(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Of the wall clock and of the CPU, all processes that it starts among them. Raises CalledProcessError."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=True)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    typer.run(main)
