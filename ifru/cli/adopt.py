"""`ifru adopt`: a model that was trained elsewhere becomes the next version, without anybody who was erased."""

from __future__ import annotations

from typing import Annotated

import typer

from ifru.cli.next_version import AsCandidate, next_version
from ifru.cli.options import HashKeyFile, Json, OwnModule, StoreUrl, outside_key
from ifru.cli.output import print_facts, print_json, progress
from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.engine.update import Carried
from ifru.errors import DataError, IfruError
from ifru.kernels.device import device_of
from ifru.models.factory import use_module
from ifru.models.quality import holdout_auc
from ifru.snapshots import FullState, Reader, Residual, Version, debt_buffers, debt_of, open_store
from ifru.suppression import Suppression


def adopt(
    url: StoreUrl,
    source: Annotated[
        str, typer.Option("--from", metavar="URL", help="Versions of the other model.", show_default=False)
    ],
    candidate: AsCandidate = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    own_module: OwnModule = None,
    hash_key_file: HashKeyFile = None,
    json: Json = False,
) -> None:
    """Make the newest version of another model the next one here, without anybody who was erased.

    Everybody on the suppression list is erased from it first, by an influence update on its own rows. How far events
    were read, and which requests were answered, stays as it is here.
    """
    if source.rstrip("/") == url.rstrip("/"):
        raise IfruError(f"--from is {source}, which is where the model goes; name the versions of another model")
    if own_module is not None:
        use_module(own_module)
    where, store = device_of(device), open_store(url)
    with progress() as report:
        reader = Reader(store)
        parent = reader.manifest(reader.newest())
        suppression = Suppression.read(store, outside_key(hash_key_file))
        report("reading the other model", None)
        other = Reader(open_store(source)).load()
        report("erasing", None)
        state, residual, erased = without_erased(other, suppression, str(where))
        auc = holdout_auc(state.config, state.parameters, state.dataset)
        report("publishing", None)
        quality = {} if auc is None else {"auc": auc}
        done = next_version(store, parent, state, residual, quality, suppression, candidate)
    facts = {
        **done,
        "from": {"store": source, "version": other.manifest.version},
        "model": state.config.name,
        "erased": {"train": erased[0], "holdout": erased[1]},
        "influence": residual.influence,
        "auc": auc,
        "rows": {"train": state.dataset.train.retained, "holdout": state.dataset.holdout.retained},
    }
    if json:
        print_json(facts)
    else:
        left = state.dataset.train.retained, state.dataset.holdout.retained
        rows = {name: f"{of[0]:,} trained on, {of[1]:,} held out" for name, of in (("erased", erased), ("rows", left))}
        print_facts(facts | rows | {"from": f"{source}, version {other.manifest.version}"})


def without_erased(
    version: Version, suppression: Suppression, device: str
) -> tuple[FullState, Residual, tuple[int, int]]:
    """A version after an influence update that erases who is on a list, what it owes, and how many rows went.

    Raises DataError where nothing is left to train on, UpdateFailed.
    """
    manifest = version.manifest
    carried = Carried(manifest.residual.batch_energy, manifest.residual.added_energy)
    engine = Engine(
        manifest.model, version.parameters, version.dataset, EngineSettings(), device, carried, debt_of(version)
    )
    deletion = suppression.rows(engine.dataset)
    if len(deletion.train) == engine.dataset.train.retained:
        raise DataError("all rows that the other model was trained on are of users, items and pairs that were erased")
    update = engine.apply(deletion) if len(deletion) else None
    settled = engine.settle()
    buffers = {**version.buffers, **{name: tensor.cpu() for name, tensor in debt_buffers(engine.debt).items()}}
    state = FullState(
        manifest.model, engine.parameters, engine.dataset, engine.serving, buffers, version.stored_features
    )
    residual = Residual(
        influence=None if update is None else update.influence,
        settled=None,
        total=settled.total,
        batch_energy=engine.carried.batch,
        added_energy=engine.carried.added,
        method="none" if update is None else update.method,
        reason="adopted" if update is None else update.reason,
    )
    return state, residual, (len(deletion.train), len(deletion.holdout))
