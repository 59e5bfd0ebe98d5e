"""`python -m benchmarks.responses`: models without a unique target, beside several retrained ones."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import torch
import typer

from benchmarks.base import CPU
from benchmarks.facts import machine
from benchmarks.models.families import NEURAL
from benchmarks.responses.measure import Plan, measure
from benchmarks.responses.report import draw, markdown
from benchmarks.runner import Result, RunOnData, benchmark, execute, known
from benchmarks.setups import SETUPS, default_setup, load
from ifru.models import config_type
from ifru.models.practice import Practice
from ifru.training import train


@benchmark("responses.png")
def main(
    run: RunOnData,
    model: Annotated[str, typer.Option(help=f"One of {', '.join(NEURAL)}.")] = "neumf",
    l2: Annotated[float, typer.Option(help="Penalty λ per interaction.")] = 0.05,
    rows: Annotated[int, typer.Option(min=1, help="Interactions of a batch.")] = 100,
    batches: Annotated[int, typer.Option(min=1, help="Batches in a row; with one the second half is left out.")] = 20,
    retrains: Annotated[int, typer.Option(min=3, help="Retrained models of each half.")] = 5,
    practice: Annotated[
        str | None,
        typer.Option(metavar="BATCH:STEP:EPOCHS", help="How the model is trained.", show_default="tuned"),
    ] = None,
    support: Annotated[str, typer.Option(help="As the engine's setting.")] = "auto",
    cpu: Annotated[bool, typer.Option("--cpu", help="Seconds of the CPU, on a machine with other work.")] = False,
) -> Result:
    """Forget one batch, and many in a row; each beside models that are retrained as practised from other seeds.

    Prints Markdown and writes a PNG.
    """
    name = known("--data", run.data or default_setup(run.folder), SETUPS)
    setup, kind = SETUPS[name], config_type(known("--model", model, NEURAL))
    config = kind.model_validate({"l2": l2} | ({} if practice is None else {"practice": _practice(practice)}))
    run.start(config)
    dataset = load(setup, run.folder, run.seed)
    trained = train(dataset, [config], seed=run.seed, device=CPU, dtype=torch.float32, report=run.report)
    plan = Plan(rows, batches, retrains, support, run.seed, time.process_time if cpu else time.perf_counter)
    found = measure(trained, dataset, plan, run.report)
    title, about = f"{name}: {model}", {"data": name, "training_rows": dataset.train.retained}
    about |= {
        "l2": l2,
        "damping": trained.config.model_dump()["damping"],
        "seconds_of": "the CPU" if cpu else "the clock",
    }
    about |= trained.config.model_dump()["practice"] | machine()
    document = {"base": about, "responses": [asdict(each) for each in found]}
    return Result(title, about, markdown(found), document, draw(found, title))


def _practice(text: str) -> Practice:
    batch, step, epochs = text.split(":")
    return Practice(batch=int(batch), step=float(step), epochs=int(epochs))


if __name__ == "__main__":
    execute(main)
