"""`ifru import`: parameters stay what they are, or become a stationary point, and the daemon goes on from either."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner

from ifru.cli import app
from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.errors import IfruError
from ifru.importing import base_of, data_of, read_implicit
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded, split
from ifru.models import MFConfig, model_of
from ifru.models.ials import IALSConfig
from ifru.models.lightgcn import LightGCNConfig
from ifru.models.neumf import NeuMFConfig
from ifru.models.practice import Practice
from ifru.objective.parameters import Parameters
from ifru.snapshots import NoVersion, Reader, debt_of, open_store
from ifru.training import train
from ifru.training.newton import Plan, initial, minimise

USERS, ITEMS, RANK = 40, 25, 4
ALPHA, L2 = 3.0, 2.0


@dataclass(frozen=True)
class Files:
    """What somebody has who trained a model elsewhere, and its factors."""

    folder: Path
    user: NDArray[np.float32]
    item: NDArray[np.float32]

    def arguments(self, out: str, model: str = "model.npz", users: str = "users.txt") -> list[str]:
        named = {"--data": "data.csv", "--user-ids": users, "--item-ids": "items.txt", "--holdout": "held.csv"}
        given = [each for option, name in named.items() for each in (option, str(self.folder / name))]
        return [str(self.folder / model), *given, "--out", (self.folder / out).as_uri(), "--json"]


def recorded() -> tuple[Recorded, Recorded]:
    """Pairs to train on, some of them twice, and pairs to test on; the last user has none."""
    random = np.random.default_rng(0)
    taste, kind = random.integers(0, 3, USERS), random.integers(0, 3, ITEMS)
    likes = random.random((USERS, ITEMS)) < np.where(taste[:, None] == kind, 0.6, 0.05)
    likes[-1] = False
    user, item = (side.astype(np.int32) for side in np.nonzero(likes))
    held = random.random(len(user)) < 0.1
    ids = [f"u{n}" for n in range(USERS)], [f"i{n}" for n in range(ITEMS)]
    train = np.concatenate([np.flatnonzero(~held), np.flatnonzero(~held)[:5]])
    return Recorded(user[train], item[train], None, None, *ids), Recorded(user[held], item[held], None, None, *ids)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A model of weighted squares after a few sweeps, as `implicit` would save it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    train, held = recorded()
    config = IALSConfig(rank=RANK, l2=L2, alpha=ALPHA)
    objective = model_of(config).objective(data_of(train, None, None).train, torch.device("cpu"), torch.float64)
    found = minimise(objective, initial(objective, 0), Plan(sweeps=3, steps=0)).parameters.to("cpu", torch.float32)
    user, item = found.user.numpy().copy(), found.item.numpy().copy()
    user[-1] = 0.5
    np.savez(folder / "model.npz", user_factors=user, item_factors=item, regularization=L2, alpha=ALPHA)
    for name, ids in (("users", train.users), ("items", train.items)):
        (folder / f"{name}.txt").write_text("\n".join(ids), "utf-8")
    (folder / "shuffled.txt").write_text("\n".join(np.random.default_rng(1).permutation(train.users)), "utf-8")
    for name, part in (("data", train), ("held", held)):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["user", "item"])
            writer.writerows((part.users[u], part.items[i]) for u, i in zip(part.user, part.item, strict=True))
    return Files(folder, user, item)


def run(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["import", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_an_imported_model_scores_as_it_did_and_owes_nothing(files: Files) -> None:
    said = run("implicit", *files.arguments("as-it-is"))
    assert (said["polished"], said["idle"], said["moved"]) == (False, 1, 0.0)
    assert said["auc"]["imported"] == said["auc"]["published"] > 0.6
    assert said["ndcg10"]["imported"] > 0.2
    version = Reader(open_store((files.folder / "as-it-is").as_uri())).load()
    np.testing.assert_array_equal(version.parameters.user[:-1].numpy(), files.user[:-1])
    np.testing.assert_array_equal(version.parameters.item.numpy(), files.item)
    assert not version.parameters.user[-1].any()
    config = version.manifest.model
    assert isinstance(config, IALSConfig)
    assert (config.l2, config.alpha, config.rank) == (L2, ALPHA, RANK)
    engine = Engine(config, version.parameters, version.dataset, EngineSettings(), debt=debt_of(version))
    assert engine.debt is not None
    assert engine.settle().influence == 0
    assert engine.state.total_decrement == 0


def test_an_answer_from_an_imported_base_comes_near_the_response_to_the_deletion(files: Files) -> None:
    run("implicit", *files.arguments("answers"))
    version = Reader(open_store((files.folder / "answers").as_uri())).load()
    engine = Engine(
        version.manifest.model,
        version.parameters,
        version.dataset,
        EngineSettings(),
        debt=debt_of(version),
    )
    update = engine.apply(version.dataset.of_user(3))
    assert update.influence <= EngineSettings().tolerance
    assert not engine.parameters.user[3].any()
    assert engine.debt is not None
    assert not engine.debt.user[3].any()
    assert engine.debt.item.any()


def test_a_polished_model_is_a_stationary_point_and_says_how_far_it_went(files: Files) -> None:
    said = run("implicit", *files.arguments("polished"), "--polish")
    assert said["polished"] is True
    assert said["gradient_norm"]["published"] < 1e-8 < said["gradient_norm"]["imported"]
    assert 0 < said["moved"] < 1
    version = Reader(open_store((files.folder / "polished").as_uri())).load()
    assert version.buffers == {}
    before, after = files.user @ files.item.T, (version.parameters.user @ version.parameters.item.T).numpy()
    train = version.dataset.train
    change = np.linalg.norm((after - before)[train.user, train.item])
    assert change / np.linalg.norm(before[train.user, train.item]) == pytest.approx(said["moved"], rel=1e-5)


def test_ids_in_another_order_are_refused_and_nothing_is_written(files: Files) -> None:
    with pytest.raises(IfruError, match="with the rows of its users shuffled"):
        run("implicit", *files.arguments("refused", users="shuffled.txt"))
    with pytest.raises(NoVersion):
        Reader(open_store((files.folder / "refused").as_uri())).newest()


def test_a_prefix_in_use_is_refused(files: Files) -> None:
    run("implicit", *files.arguments("used"))
    with pytest.raises(IfruError, match="is in use, it has version 1"):
        run("implicit", *files.arguments("used"))


def test_what_implicit_itself_saved_scores_as_it_did(files: Files) -> None:
    implicit = pytest.importorskip("implicit", reason="implicit is not installed")
    sparse = pytest.importorskip("scipy.sparse")
    train, _ = recorded()
    matrix = sparse.csr_matrix((np.ones(len(train.user), np.float32), (train.user, train.item)), (USERS, ITEMS))
    model = implicit.als.AlternatingLeastSquares(RANK, regularization=L2, alpha=ALPHA, random_state=0, num_threads=1)
    model.fit(matrix, show_progress=False)
    model.save(str(files.folder / "real.npz"))
    run("implicit", *files.arguments("real", model="real.npz"))
    version = Reader(open_store((files.folder / "real").as_uri())).load()
    scores = (version.parameters.user @ version.parameters.item.T).numpy()
    np.testing.assert_allclose(scores[:-1], (model.user_factors @ model.item_factors.T)[:-1], atol=1e-5)


class Config:
    """In the place of RecBole's: its class is not imported, its state is read."""

    def __init__(self, **settings: object) -> None:
        self.final_config_dict = settings


def checkpoint(folder: Path, model: str, files: Files, **settings: object) -> None:
    padded = [torch.cat([torch.zeros(1, RANK), torch.from_numpy(table)]) for table in (files.user, files.item)]
    state = {"user_embedding.weight": padded[0], "item_embedding.weight": padded[1]}
    if model == "NeuMF":
        random = torch.Generator().manual_seed(0)
        state = {
            f"{side}_{part}_embedding.weight": table
            for side, table in zip(("user", "item"), padded, strict=True)
            for part in ("mf", "mlp")
        }
        widths = (2 * RANK, 6, 3)
        for place, (into, out) in zip((1, 4), ((widths[0], widths[1]), (widths[1], widths[2])), strict=True):
            state[f"mlp_layers.mlp_layers.{place}.weight"] = 0.1 * torch.randn(out, into, generator=random)
            state[f"mlp_layers.mlp_layers.{place}.bias"] = 0.1 * torch.randn(out, generator=random)
        state["predict_layer.weight"] = torch.cat([torch.ones(1, RANK), torch.randn(1, 3, generator=random)], 1)
        state["predict_layer.bias"] = torch.randn(1, generator=random)
    torch.save({"config": Config(model=model, **settings), "state_dict": state}, folder / f"{model}.pth")


@pytest.mark.parametrize(
    ("model", "settings", "expected"),
    [
        ("BPR", {}, MFConfig(rank=RANK, loss="bpr", l2=0.1)),
        ("LightGCN", {"n_layers": 3}, LightGCNConfig(rank=RANK, loss="bpr", l2=0.1, layers=3)),
        ("NeuMF", {}, NeuMFConfig(rank=2 * RANK, l2=0.1, hidden=(6, 3))),
    ],
)
def test_a_checkpoint_of_recbole_becomes_the_model_that_it_is(
    files: Files, model: str, settings: dict[str, int], expected: MFConfig | LightGCNConfig | NeuMFConfig
) -> None:
    checkpoint(files.folder, model, files, **settings)
    said = run("recbole", *files.arguments(model, model=f"{model}.pth"), "--l2", "0.1", "--negatives", "2")
    version = Reader(open_store((files.folder / model).as_uri())).load()
    assert version.manifest.model == expected
    assert said["rows"]["train"] == 3 * len(np.unique(np.stack([recorded()[0].user, recorded()[0].item]), axis=1).T)
    np.testing.assert_array_equal(version.parameters.user[:-1, :RANK].numpy(), files.user[:-1])
    assert said["auc"]["imported"] > 0.5


def test_neumf_scores_as_recbole_does(files: Files) -> None:
    checkpoint(files.folder, "NeuMF", files)
    state = torch.load(files.folder / "NeuMF.pth", weights_only=False)["state_dict"]
    run("recbole", *files.arguments("neumf-scores", model="NeuMF.pth"), "--l2", "0.1")
    version = Reader(open_store((files.folder / "neumf-scores").as_uri())).load()
    user, item = torch.arange(USERS - 1), torch.arange(USERS - 1) % ITEMS

    def rows(part: str) -> tuple[torch.Tensor, torch.Tensor]:
        return state[f"user_{part}_embedding.weight"][1 + user], state[f"item_{part}_embedding.weight"][1 + item]

    hidden = torch.cat(rows("mlp"), 1)
    for place in (1, 4):
        layer = f"mlp_layers.mlp_layers.{place}"
        hidden = torch.relu(hidden @ state[f"{layer}.weight"].T + state[f"{layer}.bias"])
    product = rows("mf")[0] * rows("mf")[1]
    expected = torch.cat([product, hidden], 1) @ state["predict_layer.weight"].T + state["predict_layer.bias"]
    config, parameters = version.manifest.model, version.parameters
    assert isinstance(config, NeuMFConfig)
    tables = Parameters(parameters.tables, parameters.shared)
    from ifru.models.quality import scores

    found = scores(config, model_of(config).serving(tables, version.dataset.train), user.numpy(), item.numpy())
    np.testing.assert_allclose(found, expected[:, 0].numpy(), atol=1e-5)


def test_a_model_without_a_stationary_point_cannot_be_polished(files: Files) -> None:
    checkpoint(files.folder, "NeuMF", files)
    with pytest.raises(IfruError, match="import it without --polish"):
        run("recbole", *files.arguments("unpolished", model="NeuMF.pth"), "--l2", "0.1", "--polish")


def test_how_far_a_module_follows_a_deletion_is_found_as_for_one_that_is_trained_here() -> None:
    config = NeuMFConfig(rank=6, l2=0.01, practice=Practice(batch=64, step=0.01, epochs=20))
    dataset = split(generate(150, 80, 2500, seed=3), LabelRule.parse("rating>=4"), 0.2, seed=0)
    trained = train(dataset, [config], dtype=torch.float32)
    base = base_of(config, trained.parameters, dataset, polished=False)
    assert base.config == trained.config
    assert trained.config != config


def test_a_base_of_another_shape_is_refused(files: Files) -> None:
    model = read_implicit(files.folder / "model.npz")
    train, _ = recorded()
    with pytest.raises(IfruError):
        run("implicit", *files.arguments("shape", users="items.txt"))
    base = base_of(
        IALSConfig(rank=RANK, l2=L2, alpha=ALPHA),
        Parameters.of(model.user, model.item),
        data_of(train, None, None),
        polished=False,
    )
    assert base.before.auc is None


def test_verify_holds_an_import_against_several_retrained_models(files: Files) -> None:
    url = (files.folder / "verified").as_uri()
    run("implicit", *files.arguments("verified"))
    asked = files.folder / "requests.jsonl"
    asked.write_text('{"id": "1", "type": "erase_user", "subject": "u3", "time": "2026-11-21T10:00:00Z"}\n')
    result = CliRunner().invoke(app, ["verify", url, "--requests", str(asked), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert len(document["retrained"]) == 3
    assert document["settled_influence"] <= 0.02
