"""`ifru compile`: compile ahead what training and updating run, as an image or a new machine does it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from typing import Annotated

import typer
from numba import config as numba

from ifru.cli.options import Json, Precision
from ifru.cli.output import print_facts, print_json, progress
from ifru.models import ModelConfig, config_type
from ifru.training.ahead import Compiled, finished, started


def compile_ahead(
    model: Annotated[str, typer.Option(help="For which model.")] = "mf",
    precision: Annotated[
        list[Precision] | None, typer.Option("--dtype", help="In which precision; may be given twice.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Processes at once.", show_default="one a core")
    ] = None,
    json: Json = False,
) -> None:
    """Compile ahead what training and updates of a model run on this machine's CPU, and keep it for later processes.

    It is kept beside the installed package, or in the folder that NUMBA_CACHE_DIR names. What is not compiled ahead is
    compiled when it first runs: training takes float64, and ifrud the precision of the version, float32 by default.
    """
    # Small enough for every model; what is compiled is the same at any rank and penalty.
    config = config_type(model).model_validate({"rank": 16, "l2": 0.1})
    wanted = [each.value for each in dict.fromkeys(precision or list(Precision))]
    jobs = jobs or len(os.sched_getaffinity(0))
    # Cores that are left help from the other end.
    tasks = [(each, backwards) for backwards in (False, True) for each in wanted][: max(jobs, len(wanted))]
    done: list[Compiled] = []
    with progress() as report, ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(_compiled, config, *task) for task in tasks]
        report(f"compiling for {' and '.join(wanted)}, in {min(jobs, len(tasks))} processes", 0.0)
        for future in as_completed(futures):
            done.append(future.result())
            report(f"compiled {sum(each.compiled for each in done)} loops", len(done) / len(tasks))
    found = [_together([each for each in done if each.precision == name]) for name in wanted]
    if json:
        folder = numba.CACHE_DIR or None
        print_json({"model": model, "folder": folder, "precisions": [asdict(each) for each in found]})
        return
    for each in found:
        said = f"{each.compiled} loops compiled, {each.loaded} found kept, {each.seconds:.1f} s"
        print_facts({each.precision: said})


def _compiled(config: ModelConfig, precision: str, backwards: bool) -> Compiled:
    return finished(started(config, precision, backwards))


def _together(parts: list[Compiled]) -> Compiled:
    """What processes did for one precision: what one of them found may be what another compiled."""
    compiled, total = sum(each.compiled for each in parts), max(each.compiled + each.loaded for each in parts)
    return Compiled(parts[0].precision, compiled, max(total - compiled, 0), max(each.seconds for each in parts))
