"""`ifru train`: from a data file to version 1 of a model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from ifru.cli.candidates import candidates, in_their_units
from ifru.cli.features import add_features, check_features
from ifru.cli.first_version import empty_store, first_version
from ifru.cli.options import HashKeyFile, Json, Precision, dtype_of, outside_key
from ifru.cli.output import print_facts, print_json, progress
from ifru.errors import DataError, IfruError
from ifru.interactions import Dataset
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import check_holdout, read_file, split
from ifru.kernels.device import device_of
from ifru.models import known, model_of
from ifru.models.registry import usual_label_rule
from ifru.snapshots import FullState, Manifest, Store, open_store, serving_of
from ifru.suppression import Suppression
from ifru.training import L2_GRID, LARGEST_RANK, TrainedModel
from ifru.training import train as train_model

AUTO = "auto"


class LossChoice(StrEnum):
    """Losses that can be trained on."""

    BCE = "bce"
    SQUARED = "squared"
    BPR = "bpr"


def train(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A data file: .csv, .csv.gz or .parquet.", show_default=False)
    ],
    out: Annotated[
        str, typer.Option("--out", metavar="URL", help="Where version 1 goes: an empty prefix.", show_default=False)
    ],
    model: Annotated[
        str, typer.Option(metavar="|".join(known()), help="Which model, or package.module:factory.")
    ] = "mf",
    rank: Annotated[
        str,
        typer.Option(
            metavar="N|auto",
            help=f"Dimensions of a row; auto adds some until the model is proven optimal, up to {LARGEST_RANK}, "
            "where it has a proof, and else takes the model's own number.",
        ),
    ] = AUTO,
    l2: Annotated[
        float | None, typer.Option(help="Penalty λ per interaction.", show_default="chosen by validation")
    ] = None,
    loss: Annotated[
        LossChoice | None,
        typer.Option(
            help="What is minimised; bpr compares positives with sampled negatives.",
            show_default="bce; of ials squared",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="'rating>=4' (a column and a threshold), 'rating' (a column as it is) or "
            "'positive:1' (all rows positive, one sampled negative each), which the loss bpr needs.",
            show_default="rating>=4; of ials positive:0",
        ),
    ] = None,
    holdout: Annotated[float, typer.Option(help="Share of the rows that is kept for testing.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same model.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    bias: Annotated[bool, typer.Option("--bias", help="Of mf: give every user and item a bias.")] = False,
    layers: Annotated[
        int | None, typer.Option(help="Of lightgcn: how many hops a row is passed along interactions.")
    ] = None,
    graph: Annotated[
        str | None,
        typer.Option(metavar="positives|all", help="Of lightgcn: the interactions that rows are passed along."),
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="Of ials: how much a row weighs.", show_default="1")] = None,
    unobserved: Annotated[
        float | None, typer.Option(help="Of ials: how much a pair without a row weighs.", show_default="1")
    ] = None,
    penalty: Annotated[
        str | None,
        typer.Option(
            metavar="plain|frequency",
            help="Of ials: whether λ counts once for a user or item, or for each of its rows.",
            show_default="plain",
        ),
    ] = None,
    hidden: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,…",
            help="Of neumf, two-tower and deepfm: widths of the hidden layers.",
            show_default="16,8 of neumf, else 32,16",
        ),
    ] = None,
    user_features: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What is known of users: .csv, .csv.gz or .parquet."),
    ] = None,
    item_features: Annotated[Path | None, typer.Option(metavar="FILE", help="The same for items.")] = None,
    dtype: Annotated[
        Precision | None,
        typer.Option(
            help="Precision that training runs in: float64 proves tighter bounds.",
            show_default="float64 on the CPU, else float32, as for models that are trained by mini-batches",
        ),
    ] = None,
    suppressed: Annotated[
        list[str] | None,
        typer.Option(
            "--suppressed",
            metavar="URL",
            help="Leave out rows of who was erased from the versions there; may be given several times.",
            show_default=False,
        ),
    ] = None,
    hash_key_file: HashKeyFile = None,
    json: Json = False,
) -> None:
    """Train a model, prove how close to the optimum it is where there is a proof, and publish it as version 1."""
    start = time.perf_counter()
    own = {
        "bias": bias or None,
        "layers": layers,
        "graph": graph,
        "alpha": alpha,
        "unobserved": unobserved,
        "penalty": penalty,
        "hidden": None if hidden is None else hidden.split(","),
    }
    dimensions = None if rank == AUTO else _whole(rank)
    models = candidates(model, dimensions, None if loss is None else loss.value, _grid(l2), own)
    capabilities = model_of(models[0]).capabilities
    rule = label or usual_label_rule(models[0])
    grow = rank == AUTO and capabilities.provable
    files = {"user": user_features, "item": item_features}
    check_features(files, models[0])
    where, store, key = device_of(device), empty_store(out), outside_key(hash_key_file)
    lists = [Suppression.read(open_store(url), key) for url in suppressed or []]
    with progress() as report:
        dataset, left_out = load(data, LabelRule.parse(rule), holdout, seed, lists)
        models, features = add_features(dataset, models, files)
        models = in_their_units(models, dataset.train) if l2 is None else models
        trained = train_model(
            dataset,
            models,
            seed=seed,
            device=where,
            dtype=dtype_of(dtype, where, capabilities),
            grow=grow,
            report=report,
        )
        report("publishing", None)
        manifest = publish(store, trained, dataset, features, key)
    published = {"version": manifest.version, "store": out, "seconds": time.perf_counter() - start}
    if json:
        print_json(_facts(trained, dataset) | ({"left_out": left_out} if lists else {}) | published)
    else:
        erased = {"erased before": f"{left_out:,} rows left out"} if lists else {}
        print_facts(_for_people(trained, dataset) | erased | published)


def publish(
    store: Store,
    trained: TrainedModel,
    dataset: Dataset,
    features: Mapping[str, pa.Table] | None = None,
    hash_key: bytes | None = None,
) -> Manifest:
    """Write a trained model as version 1 of an empty prefix. features: by `user` and `item`, with a column `row`."""
    serving = serving_of(trained.config, trained.parameters, dataset.train)
    state = FullState(trained.config, trained.parameters, dataset, serving, features=features or {})
    return first_version(store, state, trained.trained.reason, trained.auc, hash_key)


def load(
    data: Path, rule: LabelRule, holdout: float, seed: int, suppressed: Sequence[Suppression]
) -> tuple[Dataset, int]:
    """A data file without what suppression lists forbid, as a data set; and how many rows were left out."""
    check_holdout(holdout)
    recorded = read_file(data, rule.column)
    rows = len(recorded.user)
    for suppression in suppressed:
        recorded = suppression.kept(recorded)
    if len(recorded.user) == 0:
        raise DataError(f"{data}: all {rows:,} rows are of users, items and pairs that were erased")
    return split(recorded, rule, holdout, seed), rows - len(recorded.user)


def _whole(rank: str) -> int:
    if not (rank.isdecimal() and int(rank) > 0):
        raise typer.BadParameter(
            f"{rank!r} is no rank; allowed are whole numbers from 1 on, and {AUTO}", param_hint="--rank"
        )
    return int(rank)


def _grid(l2: float | None) -> tuple[float, ...]:
    if l2 is None:
        return L2_GRID
    if not 0 < l2 < float("inf"):
        raise IfruError(f"--l2 is {l2}; allowed are numbers above 0")
    return (l2,)


_PROVEN = ("gap", "relative_gap", "sigma_over_lambda", "rms_bound")
"""Figures of the proof that scripts are told."""


def _facts(trained: TrainedModel, dataset: Dataset) -> dict[str, object]:
    proof, tried = trained.proof, trained.selection
    return {
        "ready": trained.ready,
        "verdict": trained.verdict,
        "objective": trained.trained.objective,
        "gradient_norm": trained.trained.gradient_norm,
        "reason": trained.trained.reason,
        "provable": proof is not None,
        **{name: None if proof is None else getattr(proof, name) for name in _PROVEN},
        "auc": trained.auc,
        "l2": trained.config.l2,
        "practice": trained.practice and trained.practice.model_dump(),
        "tried": [{"l2": config.l2, "auc": auc} for config, auc in (tried.tried if tried else ())],
        "rank": trained.config.rank,
        "ranks": [{"rank": tried.rank, "relative_gap": tried.relative_gap} for tried in trained.ranks],
        "rows": {"train": dataset.train.retained, "holdout": dataset.holdout.retained},
        "users": dataset.train.users,
        "items": dataset.train.items,
    }


def _for_people(trained: TrainedModel, dataset: Dataset) -> dict[str, object]:
    train, config = dataset.train, trained.config
    chosen = grew = ""
    if trained.selection:
        tried = ", ".join(f"{tried.l2:g}: {auc:.4f}" for tried, auc in trained.selection.tried)
        chosen = f" (chosen by AUC on validation rows: {tried})"
    if trained.ranks:
        # A rank may be trained at several times, each time more exactly: the last one counts.
        best = {each.rank: each.relative_gap for each in trained.ranks}
        gaps = ", ".join(f"{rank}: {gap:.0e}" for rank, gap in best.items())
        grew = f" (found by the relative gap: {gaps})"
    return {
        "verdict": trained.verdict,
        "objective": trained.trained.objective,
        **_trained_how(trained),
        "AUC, held out": trained.auc if trained.auc is not None else _no_auc(dataset),
        "model": f"{config.name}, rank {config.rank}{grew}, λ {config.l2:g}{chosen}",
        "rows": f"{train.retained:,} trained on, {dataset.holdout.retained:,} held out",
        "ids": f"{train.users:,} users, {train.items:,} items",
    }


def _trained_how(trained: TrainedModel) -> dict[str, object]:
    if (practice := trained.practice) is not None:
        batches = f"batches of {practice.batch:,}, step size {practice.step:.3g}"
        return {"trained": f"{practice.epochs} epochs, {batches} (chosen by validation)"}
    gap = None if trained.proof is None else trained.proof.relative_gap
    return {"gradient norm": trained.trained.gradient_norm, "relative gap": gap}


def _no_auc(dataset: Dataset) -> str:
    return "- (all held-out rows have the same label)" if dataset.holdout.retained else "- (no rows are held out)"
