"""`python -m benchmarks.pipeline`: a broker, a daemon, a load, and how long its requests take."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated
from uuid import uuid4

import torch
import typer

from benchmarks.base import Base
from benchmarks.facts import machine
from benchmarks.kept import digest
from benchmarks.pipeline.course import Asked, broker, observe
from benchmarks.pipeline.load import Shape, requests, schedule, written
from benchmarks.pipeline.report import draw, markdown, summary
from benchmarks.runner import Result, RunOnData, benchmark, execute, known
from benchmarks.setups import GENERATED, SETUPS, default_setup
from ifru.cli.first_version import empty_store, first_version
from ifru.snapshots import FullState, Reader, open_store

_PREFERRED = ("ml-1m-implicit", "ml-100k")


@benchmark("pipeline.png")
def main(
    run: RunOnData,
    rate: Annotated[float, typer.Option(min=0.01, help="Events a second.")] = 100.0,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long events are sent.")] = 60.0,
    shape: Annotated[
        Shape,
        typer.Option(help="An interaction an event, a user an event, or the interactions of five seconds at once."),
    ] = Shape.INTERACTIONS,
    backlog: Annotated[
        int, typer.Option(min=0, help="So many events wait when the daemon starts, and no others are sent.")
    ] = 0,
    events: Annotated[
        Path | None, typer.Option(help="Send the lines of this file; with --backlog the first so many of them.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of the daemon.")
    ] = None,
    bootstrap: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="A broker.", show_default="one that is started")
    ] = None,
) -> Result:
    """Start a broker and a daemon, send requests, and measure from produce to receipt. Trains a model first.

    The broker is the one of the tests: KAFKA_BOOTSTRAP, else KAFKA_HOME, Docker, or the wheel noida-db. --keep keeps
    the trained model. Prints Markdown and writes a PNG.
    """
    found = known("--data", run.data or (GENERATED if run.quick else default_setup(run.folder, _PREFERRED)), SETUPS)
    seconds = min(seconds, 5.0) if run.quick else seconds
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / f"pipeline-{uuid4().hex[:8]}"
        folder.mkdir()
        kept = (run.keep or folder) / f"store-{found}-{digest((SETUPS[found], run.seed))[:8]}"
        if not kept.exists():
            publish(replace(run, data=found).base(), kept)
        run.report("reading the model", None)
        version = Reader(open_store(kept.as_uri())).load()
        count = backlog or max(1, round(rate * seconds))
        sent = written(events)[: backlog or None] if events else requests(version.dataset, shape, count, run.seed)
        times = None if backlog else schedule(len(sent), rate, shape)
        store = folder / "store"
        shutil.copytree(kept, store)
        with broker(folder, bootstrap) as address:
            asked = Asked(sent, times, settings or (), run.threads)
            course = observe(store, folder, address, asked, run.report)
    what = events.name if events else shape.value
    how = f"{len(sent):,} events waiting" if backlog else f"{rate:g} events/s for {len(sent) / rate:g} s"
    how = f"{how}: {what}"
    manifest = version.manifest
    model = {"data": found, "training_rows": manifest.retained, "rank": manifest.model.rank}
    facts = {**model, "sent": how, "settings": " ".join(settings or ()) or "defaults", **machine()}
    paced = times is not None
    document = {"asked": facts, "found": summary(course, paced), "course": asdict(course)}
    title = f"{found}: {how}"
    return Result(title, facts, markdown(course, paced), document, draw(course, title, paced))


def publish(base: Base, folder: Path) -> None:
    """Version 1 of a trained model, in single precision; the folder is there once it is whole."""
    aside = folder.with_name(f"{folder.name}.{uuid4().hex}")
    parameters = base.parameters(base.theta.to(torch.float32))
    first_version(empty_store(aside.as_uri()), FullState(base.config, parameters, base.dataset), "trained", None)
    aside.rename(folder)


if __name__ == "__main__":
    execute(main)
