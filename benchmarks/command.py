"""What the commands have in common: options, the facts that head a report, and how errors are told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.base import Base
from benchmarks.setups import SETUPS
from ifru.errors import IfruError

Folder = Annotated[Path, typer.Option(help="Where the data files are.", show_default="../shared/data")]
Threads = Annotated[int | None, typer.Option(min=1, help="Of torch.", show_default="one for each core")]
Seed = Annotated[int, typer.Option(min=0)]
Keep = Annotated[
    Path | None, typer.Option(help="Keep trained base models and exact retrains here.", show_default="nowhere")
]
Plot = Annotated[Path, typer.Option(help="The PNG that is written.")]
Json = Annotated[bool, typer.Option("--json", help="All points as JSON in place of the tables.")]

DATA_HELP = f"Which data: {', '.join(SETUPS)}."


def known(option: str, name: str, allowed: Iterable[str]) -> str:
    """A name that is among the allowed ones. Raises IfruError with them where it is not."""
    if name not in allowed:
        raise IfruError(f"{option} is {name!r}; allowed are {', '.join(allowed)}")
    return name


def heading(base: Base) -> str:
    """Data and model in a line."""
    config = base.config
    return f"{base.name}: matrix factorisation, rank {config.rank}, λ {config.l2:g}"


def facts(base: Base) -> dict[str, object]:
    """What there is to know about a base model and the machine."""
    return {
        "data": base.name,
        "training_rows": base.train.retained,
        "users": base.train.users,
        "items": base.train.items,
        "rank": base.config.rank,
        "l2": base.config.l2,
        "l2_tried": {f"{l2:g}": round(auc, 4) for l2, auc in base.tried.items()},
        "relative_gap": base.relative_gap,
        **machine(),
    }


def machine() -> dict[str, object]:
    """What timings depend on, as far as the process can tell."""
    return {"threads": torch.get_num_threads(), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}


def listed(known_facts: Mapping[str, object]) -> str:
    """Facts as a Markdown list."""
    return "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in known_facts.items())


def run(main: Callable[..., None]) -> None:
    """Run a command; what it cannot do it says in a line, and ends with 2."""
    try:
        typer.run(main)
    except IfruError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(2) from error
