"""`ifru verify`: an update held against a real retrain."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ifru.cli.beside import print_beside
from ifru.cli.options import Json, OwnModule, StoreUrl, VersionNumber
from ifru.cli.output import console, print_facts, print_json, progress, readable
from ifru.engine.settings import EngineSettings
from ifru.errors import IfruError, RequestError
from ifru.evaluation.beside import RETRAINS, Beside, verify_beside
from ifru.evaluation.verify import BySet, Quality, Verification
from ifru.evaluation.verify import verify as verify_update
from ifru.kernels.device import device_of
from ifru.models import model_of
from ifru.models.factory import use_module
from ifru.requests import Request, parse_request
from ifru.snapshots import Reader, debt_of, open_store


def verify(
    url: StoreUrl,
    requests: Annotated[
        Path,
        typer.Option(metavar="FILE", help="Requests to forget, one JSON document a line.", show_default=False),
    ],
    version: VersionNumber = None,
    model: OwnModule = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="Residual influence that the update may leave.", show_default="the engine's own"),
    ] = None,
    retrains: Annotated[
        int, typer.Option(help="Models to retrain where retraining has no unique outcome, at least 3.")
    ] = RETRAINS,
    refine: Annotated[bool, typer.Option("--refine", help="Go on as idle time would, before comparing.")] = False,
    floor: Annotated[
        int,
        typer.Option(min=0, max=1, help="1: retrain from scratch, twice, and say what two retrains differ by."),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the retraining; the second one takes the next.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    json: Json = False,
) -> None:
    """Answer requests by one update, retrain without what they name, and say how far apart the two are.

    Publishes nothing. `left` is what the update leaves of the change that retraining makes (0: the retrained model,
    1: nothing forgotten). Retraining goes on from the version where that and its outcome are proven optimal, since the
    optimum is one model, wherever training starts; else it starts from scratch. `floor` is `left` of a second
    retraining from another seed. Models that have no unique
    retrained one, and those that were imported as they are, are held against several by loss, AUC, NDCG@10, and an
    attack that looks for what was forgotten.
    """
    if model is not None:
        use_module(model)
    settings = _settings(tolerance)
    where, asked = device_of(device), read_requests(requests)
    found: Verification | Beside
    with progress() as report:
        loaded = Reader(open_store(url)).load(version)
        what = loaded.manifest.model, loaded.parameters, loaded.dataset, asked
        debt = debt_of(loaded)
        if debt is None and model_of(loaded.manifest.model).capabilities.unique_target:
            found = verify_update(
                *what, settings=settings, refine=refine, floor=floor == 1, device=where, seed=seed, report=report
            )
        else:
            found = verify_beside(
                *what,
                debt=debt,
                settings=settings,
                refine=refine,
                retrains=retrains,
                device=where,
                seed=seed,
                report=report,
            )
    if json:
        print_json({"version": loaded.manifest.version} | asdict(found))
    elif isinstance(found, Beside):
        print_beside(found)
    else:
        print_verification(found)


def read_requests(path: Path) -> list[Request]:
    """Requests of a JSONL file. Raises IfruError that names the file, the line and the field."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise IfruError(f"{path}: cannot be read: {error.strerror}") from error
    return [_request(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def print_verification(found: Verification) -> None:
    """The comparison as a table, and what it comes to in one sentence."""
    columns = {"left": found.left} | ({"floor": found.floor} if found.floor != _NOT_ASKED else {})
    table = Table("pairs", *columns, box=None, pad_edge=False)
    for name in ("forget", "neighbours", "holdout"):
        table.add_row(_NAMES[name], *(readable(getattr(each, name)) for each in columns.values()))
    console().print(table)
    seconds = found.seconds
    refined = f", {readable(seconds.refine)} refinement" if seconds.refine else ""
    print_facts(
        {
            "requests": f"{found.requests:,}, of which {found.unknown:,} name nothing",
            "deleted rows": found.deletions,
            "update": f"{found.method}, {found.products} Hessian products, ended by: {found.reason}",
            "residual influence": f"{readable(found.residual_influence)}; exact {readable(found.settled_influence)}",
            "AUC, held out": _versions(found.auc),
            "NDCG@10, held out": _versions(found.ndcg10),
            "distance in predictions": f"{found.rms.true:.1e} RMS{_proven(found.rms.bound)}",
            "seconds": f"{readable(seconds.update)} update{refined}, {readable(seconds.retrain)} retraining",
        }
    )
    console().print(conclusion(found), soft_wrap=True, highlight=False)


_NOT_ASKED = BySet(None, None, None)
_NAMES = {"forget": "forgotten", "neighbours": "neighbouring", "holdout": "held out"}


def conclusion(found: Verification) -> str:
    """What a verification comes to, in one sentence."""
    times = found.seconds.retrain / (found.seconds.update + found.seconds.refine)
    floor = "" if found.floor == _NOT_ASKED else f"; two retrains differ by {_shares(found.floor)}"
    return (
        f"Of the change that retraining makes, the update leaves {_shares(found.left)}, and retraining {_start(found)} "
        f"takes {times:,.3g} times as long{floor}."
    )


def _start(found: Verification) -> str:
    return "from the version" if found.warm else "from scratch"


def _shares(by_set: BySet) -> str:
    shares = (
        f"{100 * share:.2g} % on {_NAMES[name]} pairs"
        for name in ("forget", "holdout")
        if (share := getattr(by_set, name)) is not None
    )
    return " and ".join(shares) or "nothing that can be measured"


def _proven(bound: float | None) -> str:
    return "; this model has no proof" if bound is None else f", proven at most {bound:.1e}"


def _versions(quality: Quality) -> str:
    before, after, retrained = (
        "-" if value is None else f"{value:.4f}" for value in (quality.before, quality.after, quality.retrained)
    )
    return f"{before} before, {after} after, {retrained} retrained"


def _settings(tolerance: float | None) -> EngineSettings:
    if tolerance is None:
        return EngineSettings()
    if not 0 < tolerance < 1:
        raise IfruError(f"--tolerance is {tolerance}; allowed are numbers between 0 and 1")
    return EngineSettings(tolerance=tolerance)


def _request(path: Path, number: int, line: bytes) -> Request:
    try:
        return parse_request(line)
    except RequestError as error:
        raise IfruError(f"{path}, line {number}: {error}") from error
