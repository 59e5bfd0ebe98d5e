"""`ifru prove`: how far a version can be from the model retrained on what is left."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer

from ifru.cli.options import Json, StoreUrl, VersionNumber
from ifru.cli.output import print_facts, print_json, progress
from ifru.errors import IfruError
from ifru.evaluation.tightened import tightened
from ifru.models import model_of
from ifru.models.proving import prove as prove_version
from ifru.proof import Dual, Proof, decode_dual, encode_dual
from ifru.snapshots import Reader, Version, open_store


@dataclass(frozen=True)
class _Found:
    """A proof; whose dual point it is from; the σ/λ of that; whether the rank keeps the gap open, where it is known."""

    proof: Proof
    dual_point: str
    sigma_over_lambda: float
    rank_limited: bool | None


def prove(
    url: StoreUrl,
    version: VersionNumber = None,
    own: Annotated[
        bool, typer.Option("--own", help="Take the version's own dual point: no solving, and a looser bound.")
    ] = False,
    dual: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take a stored dual point of the same data: no solving.", show_default=False),
    ] = None,
    save_dual: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Store the dual point that the bound is from.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Bound the distance of a version to the exactly retrained model, from the version and its data alone.

    Solves on from a copy of the version, and proves the version with the dual point of where that leads. Says so where
    no proof is known for the kind of model.
    """
    if own and dual is not None:
        raise IfruError("--own and --dual name two dual points; give one of them")
    given = None if dual is None else _read(dual)
    with progress() as report:
        loaded = Reader(open_store(url)).load(version)
        report("proving", None)
        if not model_of(loaded.manifest.model).capabilities.provable:
            return _say_unproven(loaded, json)
        found = _proven(loaded, given) if own or given else _tightened(loaded)
    if save_dual is not None:
        _write(save_dual, found.proof.dual)
    facts = _facts(loaded, found)
    if json:
        print_json(facts)
    else:
        said = {"dual_point": _DUAL_POINTS[found.dual_point], "rank_limited": _RANK_LIMITED[found.rank_limited]}
        print_facts({name.replace("_", " "): value for name, value in (facts | said).items()})


def _say_unproven(version: Version, json: bool) -> None:
    name = version.manifest.model.name
    if json:
        print_json({"version": version.manifest.version, "provable": False, "model": name})
    else:
        typer.echo(
            f"No proof is known for models of the kind {name!r}, so nothing bounds the distance to a retrained one. "
            "ifru verify measures it."
        )


_DUAL_POINTS = {
    "solution": "that of a better solution on the same data",
    "version": "the version's own",
    "file": "that of the file",
}
_RANK_LIMITED = {
    None: None,
    False: "no",
    True: "yes: the optimum needs more dimensions than the model has, so the gap stays open",
}


def _proven(version: Version, dual: Dual | None) -> _Found:
    proof = prove_version(
        version.parameters, version.dataset.train, version.manifest.model, random=_auditors_own(), dual=dual
    )
    return _Found(proof, "version" if dual is None else "file", proof.sigma_over_lambda, None)


def _tightened(version: Version) -> _Found:
    found = tightened(version.parameters, version.dataset.train, version.manifest.model, random=_auditors_own())
    if found.own.gap <= found.proof.gap:
        return _Found(found.proof, "version", found.own.sigma_over_lambda, found.rank_limited)
    return _Found(found.proof, "solution", found.solution.sigma_over_lambda, found.rank_limited)


def _auditors_own() -> torch.Generator:
    return torch.Generator().manual_seed(secrets.randbits(63))


def _read(path: Path) -> Dual:
    try:
        return decode_dual(path.read_bytes())
    except OSError as error:
        raise IfruError(f"{path}: cannot be read: {error.strerror}") from error


def _write(path: Path, dual: Dual) -> None:
    try:
        path.write_bytes(encode_dual(dual))
    except OSError as error:
        raise IfruError(f"{path}: cannot be written: {error.strerror}") from error


def _facts(version: Version, found: _Found) -> dict[str, object]:
    proof = found.proof
    return {
        "version": version.manifest.version,
        "provable": True,
        "objective": proof.objective,
        "gap": proof.gap,
        "relative_gap": proof.relative_gap,
        "rms_bound": proof.rms_bound,
        "dual_point": found.dual_point,
        "sigma_over_lambda": found.sigma_over_lambda,
        "rank_limited": found.rank_limited,
        "retained": proof.retained,
        "failure_probability": proof.failure_probability,
    }
