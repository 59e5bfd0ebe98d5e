"""`ifru prove`: how far a version can be from the model retrained on what is left."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer

from ifru.cli.options import HashKeyFile, Json, StoreUrl, VersionNumber, outside_key
from ifru.cli.output import print_facts, print_json, print_table, progress
from ifru.cli.prove_pairs import EACH_LIMIT, Asked, prove_pairs
from ifru.errors import IfruError
from ifru.evaluation.tightened import tightened
from ifru.models import model_of
from ifru.models.proving import prove as prove_version
from ifru.proof import Dual, Proof, decode_dual, decode_pair_dual, encode_dual, encode_pair_dual
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
    pairs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Prove what is said of these pairs: a CSV user,item.", show_default=False),
    ] = None,
    request: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="The same of what the version that answered a request deleted.", show_default=False
        ),
    ] = None,
    source: Annotated[str, typer.Option(help="Of the request, where requests have one.")] = "",
    hash_key_file: HashKeyFile = None,
    before: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Measure the change from this version.", show_default="the one before"),
    ] = None,
    mean: Annotated[bool, typer.Option("--mean", help="All pairs weigh the same, not by how they changed.")] = False,
    each: Annotated[bool, typer.Option("--each", help=f"Every pair for itself, up to {EACH_LIMIT}.")] = False,
    json: Json = False,
) -> None:
    """Bound the distance of a version to the exactly retrained model, from the version and its data alone.

    Solves on from a copy of the version, and proves the version with the dual point of where that leads. Says so where
    no proof is known for the kind of model.

    With --pairs or --request it bounds, from both sides, what the exactly retrained model says of some pairs: the sum
    of their scores, weighed by the normalised change. `left_at_most` is how much of the change can be left undone.
    """
    if own and dual is not None:
        raise IfruError("--own and --dual name two dual points; give one of them")
    if pairs is not None or request is not None:
        _check_together(pairs is not None and request is not None, own, each and (save_dual or dual) is not None)
        asked = Asked(pairs, request, source, outside_key(hash_key_file), before, mean, each)
        return _prove_pairs(url, version, asked, dual, save_dual, json)
    if mean or each or before is not None or source:
        raise IfruError("--mean, --each, --before and --source are for --pairs or --request; give one of these")
    given = None if dual is None else _read(dual)
    with progress() as report:
        loaded = Reader(open_store(url)).load(version)
        report("proving", None)
        if not model_of(loaded.manifest.model).capabilities.provable:
            return _say_unproven(loaded, json)
        found = _proven(loaded, given) if own or given else _tightened(loaded)
    if save_dual is not None:
        _write(save_dual, encode_dual(found.proof.dual))
    facts = _facts(loaded, found)
    if json:
        print_json(facts)
    else:
        said = {"dual_point": _DUAL_POINTS[found.dual_point], "rank_limited": _RANK_LIMITED[found.rank_limited]}
        print_facts({name.replace("_", " "): value for name, value in (facts | said).items()})


def _check_together(both: bool, own: bool, stored: bool) -> None:
    if both:
        raise IfruError("--pairs and --request both name pairs; give one of them")
    if own:
        raise IfruError("--own is for a whole version; chosen pairs have no dual point of the version's own")
    if stored:
        raise IfruError("--each has a dual point for each pair; --dual and --save-dual are for all pairs together")


def _prove_pairs(
    url: str, version: int | None, asked: Asked, dual: Path | None, save_dual: Path | None, json: bool
) -> None:
    given = None if dual is None else decode_pair_dual(_bytes(dual))
    with progress() as report:
        report("proving", None)
        facts, found = prove_pairs(open_store(url), version, asked, given, _auditors_own())
    if save_dual is not None and found is not None:
        _write(save_dual, encode_pair_dual(found))
    if json:
        return print_json(facts)
    each = facts.pop("each", None)
    print_facts({name.replace("_", " "): value for name, value in facts.items()})
    if isinstance(each, list):
        print_table(each)


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
    return decode_dual(_bytes(path))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IfruError(f"{path}: cannot be read: {error.strerror}") from error


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
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
