"""`ifru import`: from a model that another program trained to version 1 of a prefix."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ifru.cli.first_version import empty_store, first_version
from ifru.cli.options import Json
from ifru.cli.output import print_facts, print_json, progress
from ifru.importing import Base, base_of, data_of, model_in, read_ids, read_implicit, read_recbole, renumbered
from ifru.interactions.loading import Recorded, read_file
from ifru.models.ials import IALSConfig
from ifru.objective.parameters import Parameters
from ifru.snapshots import FullState, Manifest, Store, debt_buffers, serving_of

app = typer.Typer(help="Take over a model that another program trained: nothing in its file is run.")

Out = Annotated[
    str, typer.Option("--out", metavar="URL", help="Where version 1 goes: an empty prefix.", show_default=False)
]
Data = Annotated[
    Path,
    typer.Option(
        "--data", metavar="FILE", help="What it was trained on: .csv, .csv.gz or .parquet.", show_default=False
    ),
]
UserIds = Annotated[
    Path, typer.Option(metavar="FILE", help="The users' ids, one a line, in the order of its rows.", show_default=False)
]
ItemIds = Annotated[
    Path, typer.Option(metavar="FILE", help="The items' ids, one a line, in the order of its rows.", show_default=False)
]
Holdout = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Pairs to test on, which are stored beside.", show_default=False)
]
Polish = Annotated[
    bool,
    typer.Option(
        "--polish",
        help="Move its parameters to a stationary point of its objective; else they stay as they are, and deletions "
        "are counted from there.",
    ),
]

Seed = Annotated[int, typer.Option(min=0, help="Of what is drawn at random.")]


@app.command()
def implicit(
    file: Annotated[Path, typer.Argument(metavar="FILE.npz", help="What model.save() wrote.", show_default=False)],
    data: Data,
    user_ids: UserIds,
    item_ids: ItemIds,
    out: Out,
    weight: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Of the data: what its matrix held.", show_default="1 for every row"),
    ] = None,
    holdout: Holdout = None,
    polish: Polish = False,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Import an AlternatingLeastSquares model that implicit saved."""
    store = empty_store(out)
    with progress() as report:
        model = read_implicit(file)
        config = IALSConfig(rank=model.user.shape[1], l2=model.l2, alpha=model.alpha)
        parameters = Parameters.of(model.user, model.item)
        recorded, tested = _recorded(parameters, (user_ids, item_ids), data, weight, holdout)
        dataset = data_of(recorded, recorded.value, tested)
        base = base_of(config, parameters, dataset, polished=polish, seed=seed, report=report)
        report("publishing", None)
        manifest = publish(store, base)
    _print(base, manifest, out, json)


@app.command()
def recbole(
    file: Annotated[Path, typer.Argument(metavar="FILE.pth", help="What its trainer saved.", show_default=False)],
    data: Data,
    user_ids: UserIds,
    item_ids: ItemIds,
    out: Out,
    l2: Annotated[
        float, typer.Option(min=1e-12, help="Penalty λ per interaction, which it does not have.", show_default=False)
    ],
    negatives: Annotated[int, typer.Option(min=1, help="Items that are drawn for each pair, and stored with it.")] = 1,
    holdout: Holdout = None,
    polish: Polish = False,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Import a checkpoint of RecBole: BPR, LightGCN or NeuMF. The row for padding, its first, has no id."""
    store = empty_store(out)
    with progress() as report:
        config, parameters = model_in(read_recbole(file), l2, file)
        recorded, tested = _recorded(parameters, (user_ids, item_ids), data, None, holdout)
        dataset = data_of(recorded, None, tested, negatives, seed)
        base = base_of(config, parameters, dataset, polished=polish, seed=seed, report=report)
        report("publishing", None)
        manifest = publish(store, base)
    _print(base, manifest, out, json)


def _recorded(
    parameters: Parameters, ids: tuple[Path, Path], data: Path, weight: str | None, holdout: Path | None
) -> tuple[Recorded, Recorded | None]:
    """What a model was trained and is tested on, by the row numbers of its own tables."""
    users, items = (read_ids(path, len(table)) for path, table in zip(ids, parameters.tables.values(), strict=True))
    recorded = renumbered(read_file(data, weight), users, items, data)
    return recorded, None if holdout is None else renumbered(read_file(holdout, None), users, items, holdout)


def publish(store: Store, base: Base) -> Manifest:
    """Write an imported model as version 1 of an empty prefix."""
    serving = serving_of(base.config, base.parameters, base.dataset.train)
    state = FullState(base.config, base.parameters, base.dataset, serving, debt_buffers(base.debt))
    return first_version(store, state, base.reason, base.after.auc)


def _print(base: Base, manifest: Manifest, out: str, json: bool) -> None:
    train, holdout = base.dataset.train, base.dataset.holdout
    facts = {
        "version": manifest.version,
        "store": out,
        "polished": base.reason == "polished",
        "gradient_norm": base.gradient_norm and dict(zip(("imported", "published"), base.gradient_norm, strict=True)),
        "moved": base.moved,
        "auc": {"imported": base.before.auc, "published": base.after.auc},
        "ndcg10": {"imported": base.before.ndcg10, "published": base.after.ndcg10},
        "rows": {"train": train.retained, "holdout": holdout.retained},
        "users": train.users,
        "items": train.items,
        "idle": base.idle,
    }
    if json:
        print_json(facts)
        return
    polished = base.reason == "polished"
    change = f"scores moved by {base.moved:.2%} of their size" if polished else "as imported"
    print_facts(
        {
            "parameters": change,
            "gradient norm": _both(base.gradient_norm or (None, None), polished),
            "AUC, held out": _both((base.before.auc, base.after.auc), polished),
            "NDCG@10, held out": _both((base.before.ndcg10, base.after.ndcg10), polished),
            "model": f"{base.config.name}, rank {base.config.rank}, λ {base.config.l2:g}",
            "rows": f"{train.retained:,} trained on, {holdout.retained:,} held out",
            "ids": f"{train.users:,} users, {train.items:,} items; {base.idle:,} of them without rows, which are zero",
            "version": manifest.version,
            "store": out,
        }
    )


def _both(values: tuple[float | None, float | None], polished: bool) -> str:
    shown = ["-" if value is None else f"{value:.4g}" for value in values]
    return f"{shown[0]} -> {shown[1]}" if polished else shown[0]
