"""`ifru retrain`: a model trained anew on what the newest version retains, as the next version."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from ifru.cli.next_version import AsCandidate, next_version
from ifru.cli.options import HashKeyFile, Json, OwnModule, Precision, StoreUrl, dtype_of, outside_key
from ifru.cli.output import print_facts, print_json, progress
from ifru.errors import IfruError
from ifru.interactions import Dataset
from ifru.interactions.features import encoded
from ifru.interactions.growing import compacted, extended, renumbered
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import check_holdout, read_file
from ifru.kernels.device import device_of
from ifru.models import ModelConfig, model_of
from ifru.models.factory import use_module
from ifru.models.registry import usual_label_rule
from ifru.snapshots import FullState, Reader, Residual, Version, open_store, serving_of
from ifru.suppression import Suppression
from ifru.training import TrainedModel
from ifru.training import train as train_model


def retrain(
    url: StoreUrl,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FILE", help="New interactions: .csv, .csv.gz or .parquet.", show_default=False),
    ] = None,
    candidate: AsCandidate = False,
    rank: Annotated[int | None, typer.Option(min=1, help="Another rank.", show_default="as it is")] = None,
    l2: Annotated[float | None, typer.Option(min=1e-12, help="Another λ.", show_default="as it is")] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="How new rows are labelled, as in ifru train.",
            show_default="rating>=4; of ials positive:0",
        ),
    ] = None,
    holdout: Annotated[float, typer.Option(help="Share of the new rows that is kept for testing.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same model.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    dtype: Annotated[
        Precision | None, typer.Option(help="Precision that training runs in.", show_default="as in ifru train")
    ] = None,
    own_module: OwnModule = None,
    hash_key_file: HashKeyFile = None,
    json: Json = False,
) -> None:
    """Train anew on the rows that the newest version retains, and publish that as the next version.

    Rows of FILE about who was erased are left out, and pairs that the model has already. How far events were read, and
    which requests were answered, stays as it is. Beside a running daemon use --candidate.
    """
    start = time.perf_counter()
    check_holdout(holdout)
    if own_module is not None:
        use_module(own_module)
    where, store = device_of(device), open_store(url)
    with progress() as report:
        version = Reader(store).load()
        suppression = Suppression.read(store, outside_key(hash_key_file))
        config = _changed(version.manifest.model, rank, l2)
        rule = LabelRule.parse(label or usual_label_rule(config))
        dataset, left_out = _data(version, suppression, data, rule, holdout, seed)
        capabilities = model_of(config).capabilities
        trained = train_model(
            dataset, [config], seed=seed, device=where, dtype=dtype_of(dtype, where, capabilities), report=report
        )
        report("publishing", None)
        state = _state(trained, dataset, version)
        quality = {} if trained.auc is None else {"auc": trained.auc}
        residual = Residual.of_training(trained.trained.reason)
        done = next_version(store, version.manifest, state, residual, quality, suppression, candidate)
    facts = {
        **done,
        "verdict": trained.verdict,
        "ready": trained.ready,
        "auc": trained.auc,
        "left_out": left_out,
        "rows": {"train": dataset.train.retained, "holdout": dataset.holdout.retained},
        "seconds": time.perf_counter() - start,
    }
    if json:
        print_json(facts)
    else:
        rows = f"{dataset.train.retained:,} trained on, {dataset.holdout.retained:,} held out"
        print_facts(facts | {"rows": rows, "left_out": f"{left_out['erased']:,} rows of who was erased"})


def _changed(config: ModelConfig, rank: int | None, l2: float | None) -> ModelConfig:
    changes = {name: value for name, value in (("rank", rank), ("l2", l2)) if value is not None}
    try:
        return type(config).model_validate(config.model_dump() | changes) if changes else config
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise IfruError(
            f"--{first['loc'][0] if first['loc'] else 'rank'} does not fit the model: {first['msg']}"
        ) from None


def _data(
    version: Version, suppression: Suppression, file: Path | None, rule: LabelRule, holdout: float, seed: int
) -> tuple[Dataset, dict[str, int]]:
    """What to train on, and how many new rows were left out: of who was erased, and of pairs that were known."""
    dataset, left_out = compacted(version.dataset), {"erased": 0, "known": 0}
    if file is not None:
        read = read_file(file, rule.column)
        kept = suppression.kept(read)
        left_out["erased"] = len(read.user) - len(kept.user)
        if len(kept.user):
            dataset, new = extended(dataset, kept, rule, holdout, seed)
            left_out["known"] = int((~new).sum())
    features = renumbered(version.features, version.dataset)
    for side, encoding in version.manifest.model.encodings.items():
        dataset.train.features[side] = encoded(features[side], encoding, len(getattr(dataset, f"{side}s")))
    return dataset, left_out


def _state(trained: TrainedModel, dataset: Dataset, version: Version) -> FullState:
    serving = serving_of(trained.config, trained.parameters, dataset.train)
    features = renumbered(version.features, version.dataset)
    return FullState(trained.config, trained.parameters, dataset, serving, features=features)
