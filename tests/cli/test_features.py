"""Features from the command line to a version, and out of it again when somebody is erased."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from ifru.cli import main
from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.models.quality import holdout_auc
from ifru.snapshots import Change, FullState, Reader, Version, Writer, open_store

Said = Callable[..., str]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ratings that follow from a user's kind and an item's year, and little else."""
    random, folder = np.random.default_rng(0), tmp_path_factory.mktemp("data")
    kind, year = random.integers(0, 2, 40), random.integers(1950, 2020, 30)
    ratings = ["user,item,rating"]
    for user, item in zip(*np.divmod(random.permutation(40 * 30)[:700], 30), strict=True):
        likes = (year[item] > 1985) == kind[user]
        ratings.append(f"u{user},i{item},{4 if likes ^ (random.random() < 0.05) else 2}")
    (folder / "ratings.csv").write_text("\n".join(ratings) + "\n")
    users = ["user,kind", *(f"u{n},{'new' if kind[n] else 'old'}" for n in range(40))]
    items = ["item,year", *(f"i{n},{year[n]}" for n in range(29))]
    (folder / "users.csv").write_text("\n".join(users) + "\n")
    (folder / "items.csv").write_text("\n".join(items) + "\n")
    return folder


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Said:
    def run(*arguments: object, code: int = 0) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert ended.value.code == code, err
        return err if code else out

    return run


def options(files: Path, url: str, name: str) -> list[object]:
    sides = ["--user-features", files / "users.csv", "--item-features", files / "items.csv"]
    return ["train", files / "ratings.csv", "--out", url, "--model", name, "--rank", 4, "--l2", 0.05, *sides, "--json"]


@pytest.mark.parametrize("name", ["two-tower", "deepfm"])
def test_features_are_learnt_from_and_come_back_with_the_version(
    name: str, files: Path, tmp_path: Path, said: Said
) -> None:
    url = f"file://{tmp_path}/models"
    document = json.loads(said(*options(files, url, name)))
    assert document["auc"] > 0.8
    version = Reader(open_store(url)).load()
    kinds = dict(
        zip(version.features["user"]["row"].to_pylist(), version.features["user"]["kind"].to_pylist(), strict=True)
    )
    assert len(kinds) == 40
    assert set(kinds.values()) == {"old", "new"}
    assert version.features["item"].num_rows == 29
    known = version.dataset.train.features
    assert known["user"].shape == (40, 2)
    assert known["item"].shape == (30, 1)
    row = version.dataset.users.row("u3")
    np.testing.assert_array_equal(known["user"][row], [kinds[row] == "new", kinds[row] == "old"])
    auc = holdout_auc(version.manifest.model, version.parameters, version.dataset)
    assert auc == pytest.approx(document["auc"], abs=1e-6)


def forgotten(url: str, subject: str, full: bool) -> Version:
    """The version after an update in which somebody is erased: a delta, or written anew."""
    store = open_store(url)
    version = Reader(store).load()
    engine = Engine(version.manifest.model, version.parameters, version.dataset, EngineSettings())
    user = version.dataset.users.row(subject)
    assert user is not None
    update = engine.apply(version.dataset.of_user(user))
    state = FullState(engine.config, engine.parameters, engine.dataset, features=version.stored_features)
    residual = version.manifest.residual.model_copy(update={"influence": update.influence, "method": update.method})
    change = Change(update.parameters, update.deletion, {}, ["a keyed hash"], residual, full=state if full else None)
    Writer(store, lambda: datetime.now(UTC), lambda: "second").commit(version.manifest, change)
    return Reader(store).load()


@pytest.mark.parametrize("full", [False, True])
def test_the_features_of_an_erased_user_leave_with_them(files: Path, tmp_path: Path, said: Said, full: bool) -> None:
    url = f"file://{tmp_path}/models"
    said(*options(files, url, "two-tower"))
    row = Reader(open_store(url)).load().dataset.users.row("u3")
    version = forgotten(url, "u3", full)
    assert version.manifest.version == 2
    assert row not in version.features["user"]["row"].to_pylist()
    assert version.features["user"].num_rows == 39
    assert version.stored_features["user"].num_rows == (39 if full else 40)
    assert not version.dataset.train.features["user"][row].any()
    assert version.dataset.train.features["user"].any(1).sum() == 39


def test_features_that_nobody_reads_or_that_do_not_fit_are_refused_before_anything_is_written(
    files: Path, tmp_path: Path, said: Said
) -> None:
    url = f"file://{tmp_path}/models"
    for name in ("mf", "neumf"):
        assert f"--user-features is no option of the model '{name}'" in said(*options(files, url, name), code=2)
    strangers = tmp_path / "users.csv"
    strangers.write_text("user,kind\nnobody,old\n")
    command = options(files, url, "two-tower")
    command[command.index(files / "users.csv")] = strangers
    assert "1 users are not in the data, such as 'nobody'" in said(*command, code=2)
    alike = tmp_path / "alike.csv"
    alike.write_text("user,kind\nu1,old\n")
    command[command.index(strangers)] = alike
    assert "no column tells users apart" in said(*command, code=2)
    assert not any(path.is_file() for path in (tmp_path / "models").rglob("*"))


def test_verify_retrains_with_features_too(files: Path, tmp_path: Path, said: Said) -> None:
    url, asked = f"file://{tmp_path}/models", tmp_path / "requests.jsonl"
    said(*options(files, url, "two-tower"))
    asked.write_text('{"id": "1", "type": "erase_user", "subject": "u3", "time": "2026-11-21T10:00:00Z"}\n')
    document = json.loads(said("verify", url, "--requests", asked, "--json"))
    aucs = [each["holdout"]["auc"] for each in (document["before"], document["after"], *document["retrained"])]
    assert min(aucs) > 0.7, aucs
