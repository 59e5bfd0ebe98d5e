"""What all benchmarks share: options, progress, the trained base model, and how a result is shown.

A benchmark is a function of a run, which holds the shared options, and of options of its own:

    @benchmark("size.png")
    def main(run: Run, batch: Annotated[int, typer.Option(min=1)] = 100) -> Result: ...

    if __name__ == "__main__":
        execute(main)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import torch
import typer

from benchmarks.base import CPU, Base, trained
from benchmarks.facts import facts, heading, listed
from benchmarks.kept import Kept
from benchmarks.setups import FOLDER, SETUPS, Setup, default_setup, load
from ifru.cli.output import print_json, progress
from ifru.errors import IfruError
from ifru.models import ModelConfig
from ifru.training import Report, silent
from ifru.training.warm_up import warm_up

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from matplotlib.figure import Figure

D = TypeVar("D", bound="DataclassInstance")


@dataclass(frozen=True)
class Result:
    """What a benchmark found: a title and facts above a text, all of it as JSON, and as a picture."""

    title: str
    facts: Mapping[str, object]
    markdown: str
    document: Mapping[str, object]
    picture: Figure


def of_cases(
    base: Base,
    name: str,
    found: Sequence[D],
    markdown: Callable[[Sequence[D]], str],
    draw: Callable[[Sequence[D], str], Figure],
    **asked: object,
) -> Result:
    """What a benchmark found on each of some cases. name: theirs in JSON. asked: facts besides those of the base."""
    known = {**facts(base), **asked}
    document = {"base": known, name: [asdict(case) for case in found]}
    return Result(heading(base), known, markdown(found), document, draw(found, heading(base)))


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a benchmark: the options that every command has, and where progress is reported to."""

    threads: Annotated[int | None, typer.Option(min=1, help="Of torch.", show_default="one for each core")] = None
    seed: Annotated[int, typer.Option(min=0)] = 0
    keep: Annotated[
        Path | None, typer.Option(help="Keep trained base models and exact retrains here.", show_default="nowhere")
    ] = None
    plot: Annotated[Path, typer.Option(help="The PNG that is written.")] = Path("benchmark.png")
    quick: Annotated[bool, typer.Option("--quick", help="Little of everything: to see that it works.")] = False
    json: Annotated[bool, typer.Option("--json", help="All points as JSON in place of the tables.")] = False
    report: Report = silent

    @property
    def kept(self) -> Kept:
        return Kept(self.keep)

    def start(self, config: ModelConfig) -> None:
        """Settle the threads, and compile what a model will run. Options have been checked before."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        self.report("compiling", None)
        warm_up(config, CPU, (torch.float32, torch.float64))


@dataclass(frozen=True, kw_only=True)
class RunOnData(Run):
    """A run on a named data set."""

    data: Annotated[
        str | None,
        typer.Option(help=f"Which data: {', '.join(SETUPS)}.", show_default="what the benchmark prefers and finds"),
    ] = None
    folder: Annotated[Path, typer.Option(help="Where the data files are.", show_default="../shared/data")] = FOLDER

    def base(
        self, preferred: Sequence[str] = ("ml-100k",), setups: Mapping[str, Setup] = SETUPS, **changes: Any
    ) -> Base:
        """Start, and train the base model. Raises IfruError for data that are not known or cannot be read.

        preferred: data sets that are taken where none is named. setups: by their names. changes: to fields of the
        setup; None and 0 are none.
        """
        name = known("--data", self.data or default_setup(self.folder, preferred), setups)
        setup = replace(setups[name], **{field: value for field, value in changes.items() if value})
        self.start(setup.model(rank=setup.rank, l2=1.0))
        return trained(name, setup, load(setup, self.folder, self.seed), self.seed, self.kept, self.report)


def benchmark(plot: str) -> Callable[[Callable[..., Result]], Callable[..., None]]:
    """Make a command of a benchmark: its own options, and those of its first parameter's type.

    plot: where the picture goes by default.
    """

    def command(measure: Callable[..., Result]) -> Callable[..., None]:
        run, *_ = own = _options(measure)
        kind = own.pop(run).annotation
        shared = _options(kind)
        del shared["report"]
        shared["plot"] = shared["plot"].replace(default=Path(plot))
        always = _options(Run)
        signature = inspect.Signature(
            sorted([*shared.values(), *own.values()], key=lambda option: option.name in always)
        )

        def main(**given: Any) -> None:
            bound = signature.bind(**given)
            bound.apply_defaults()
            options = bound.arguments
            with progress() as report:
                run = kind(report=report, **{name: options.pop(name) for name in shared})
                result = measure(run, **options)
            _show(result, run)

        main.__doc__ = measure.__doc__
        main.__signature__ = signature  # type: ignore[attr-defined]
        return main

    return command


def execute(main: Callable[..., None]) -> None:
    """Run a command; what it cannot do it says in a line, and ends with 2."""
    try:
        typer.run(main)
    except IfruError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(2) from error


def known(option: str, name: str, allowed: Sequence[str] | Mapping[str, object]) -> str:
    """A name that is among the allowed ones. Raises IfruError with them where it is not."""
    if name not in allowed:
        raise IfruError(f"{option} is {name!r}; allowed are {', '.join(allowed)}")
    return name


def _options(of: Callable[..., object]) -> dict[str, inspect.Parameter]:
    """What a function, or a class of fields, takes by name."""
    hints = get_type_hints(of, include_extras=True)
    return {
        name: parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
        for name, parameter in inspect.signature(of).parameters.items()
    }


def _show(result: Result, run: Run) -> None:
    result.picture.savefig(run.plot, dpi=130)
    if run.json:
        print_json(result.document)
    else:
        typer.echo(f"# {result.title}\n\n{listed(result.facts)}\n\n{result.markdown}")
