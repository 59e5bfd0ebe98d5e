"""`ifru compile`: compile ahead what training and updating run, as an image or a new machine does it."""

from __future__ import annotations

from concurrent.futures import as_completed
from dataclasses import asdict
from typing import Annotated

import typer
from numba import config as numba

from ifru.cli.options import Json, Precision
from ifru.cli.output import print_facts, print_json, progress
from ifru.models import config_type
from ifru.training.ahead import compiling


def compile_ahead(
    model: Annotated[str, typer.Option(help="For which model.")] = "mf",
    precision: Annotated[
        list[Precision] | None, typer.Option("--dtype", help="In which precision; may be given twice.")
    ] = None,
    json: Json = False,
) -> None:
    """Compile ahead what training and updates of a model run on this machine's CPU, and keep it for later processes.

    It is kept beside the installed package, or in the folder that NUMBA_CACHE_DIR names. What is not compiled ahead is
    compiled when it first runs: training takes float64, and ifrud the precision of the version, float32 by default.
    """
    config = config_type(model).model_validate({"rank": 16, "l2": 0.1})
    wanted = [each.value for each in dict.fromkeys(precision or list(Precision))]
    found = []
    with progress() as report, compiling(config, wanted) as futures:
        report(f"compiling for {' and '.join(wanted)}", 0.0)
        for future in as_completed(futures.values()):
            found.append(future.result())
            report(f"compiled for {found[-1].precision}", len(found) / len(wanted))
    if json:
        folder = numba.CACHE_DIR or None
        print_json({"model": model, "folder": folder, "precisions": [asdict(each) for each in found]})
        return
    for each in found:
        said = f"{each.compiled} loops compiled, {each.loaded} loaded, {each.seconds:.1f} s"
        print_facts({each.precision: said})
