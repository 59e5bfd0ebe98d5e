"""The `ifru` command, as people and scripts use it: real data files, real folders, real models."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ifru.cli import main
from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.snapshots import Change, Reader, Writer, open_store

Ifru = Callable[..., "Ended"]


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


@pytest.fixture
def ifru(capfd: pytest.CaptureFixture[str]) -> Ifru:
    def run(*arguments: object) -> Ended:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, *capfd.readouterr())

    return run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    pairs = random.permutation(30 * 25)[:500]
    taste, kind = random.normal(size=(30, 2)), random.normal(size=(25, 2))
    lines = ["user,item,rating,timestamp"]
    for user, item in zip(*np.divmod(pairs, 25), strict=True):
        rating = np.clip(round(3 + taste[user] @ kind[item] + 0.3 * random.normal()), 1, 5)
        lines.append(f"u{user},i{item},{rating},1577872800")
    path = tmp_path_factory.mktemp("data") / "ratings.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, data: Path) -> str:
    url = f"file://{tmp_path_factory.mktemp('models') / 'one'}"
    with pytest.raises(SystemExit) as ended:
        main(["train", str(data), "--out", url, "--l2", "0.2", "--rank", "8", "--dtype", "float64"])
    assert ended.value.code == 0
    return url


def keys(document: dict[str, Any], *names: str) -> set[str]:
    for name in names:
        document = document[name]
    return set(document)


def test_the_command_is_a_module_too() -> None:
    ended = subprocess.run([sys.executable, "-m", "ifru", "--version"], capture_output=True, text=True, check=True)
    assert ended.stdout == f"ifru {installed('ifru')}\n"


def test_train_publishes_version_1_and_says_how_good_it_is(ifru: Ifru, data: Path, tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'model'}"
    ended = ifru("train", data, "--out", url, "--rank", 8, "--l2", 0.2, "--seed", 3, "--bias", "--json")
    assert ended.err == ""
    said = ended.document
    assert said["verdict"] == "proven optimal"
    assert (said["ready"], said["version"], said["store"]) == (True, 1, url)
    assert 0 < said["relative_gap"] <= 1e-5
    assert said["rows"] == {"train": 400, "holdout": 100}
    assert {"objective", "gradient_norm", "auc", "seconds", "l2", "rank", "rms_bound"} <= keys(said)
    version = Reader(open_store(url)).load()
    assert (version.manifest.version, version.manifest.model.bias) == (1, True)
    assert version.manifest.quality == {"auc": said["auc"]}
    assert version.parameters.user.shape == (30, 9)
    assert version.dataset.train.retained == 400


def test_the_same_seed_trains_the_same_model(ifru: Ifru, data: Path) -> None:
    files = []
    for name in ("same-a", "same-b"):
        url = f"memory://{name}"
        assert ifru("train", data, "--out", url, "--rank", 4, "--l2", 0.3).code == 0
        files.append({file.role: file.sha256 for file in Reader(open_store(url)).manifest(1).files})
    assert files[0] == files[1]


def test_l2_that_is_not_given_is_chosen_by_validation(ifru: Ifru, data: Path) -> None:
    said = ifru("train", data, "--out", "memory://chosen", "--rank", 4, "--json").document
    best = max(said["tried"], key=lambda each: each["auc"])
    assert len(said["tried"]) > 1
    assert said["l2"] == best["l2"]


def test_the_rank_is_found_by_the_proof_where_none_is_given(ifru: Ifru, data: Path) -> None:
    said = ifru("train", data, "--out", "memory://auto", "--l2", 0.05, "--json").document
    assert said["ready"]
    assert [each["rank"] for each in said["ranks"]][-1] == said["rank"]
    version = Reader(open_store("memory://auto")).load()
    assert version.manifest.model.rank == said["rank"] == version.parameters.user.shape[1]
    told = ifru("train", data, "--out", "memory://auto-text", "--rank", "auto", "--l2", 0.3).out
    assert re.search(r"rank (\d+) \(found by the relative gap: \1: \de-\d+\)", told)


def test_a_model_that_is_not_ready_is_published_and_called_so(ifru: Ifru, data: Path) -> None:
    ended = ifru("train", data, "--out", "memory://unready", "--rank", 1, "--l2", 0.1)
    assert ended.code == 0
    assert "not ready for unlearning: " in ended.out
    assert "raise --rank or --l2" in ended.out


def test_a_model_with_options_of_its_own_is_published_with_them(ifru: Ifru, data: Path) -> None:
    arguments = ["--rank", 4, "--l2", 0.3, "--layers", 1, "--graph", "all"]
    assert ifru("train", data, "--out", "memory://graph", "--model", "lightgcn", *arguments).code == 0
    model = Reader(open_store("memory://graph")).load().manifest.model
    assert model.model_dump() == {"name": "lightgcn", "rank": 4, "loss": "bce", "l2": 0.3, "layers": 1, "graph": "all"}


def test_help_lists_every_model(ifru: Ifru) -> None:
    said = ifru("train", "--help").out
    assert "lightgcn" in said
    assert "mf" in said


@pytest.fixture(scope="module")
def ones(data: Path) -> Path:
    """The same rows, each with a rating of 1."""
    lines = data.read_text().splitlines()
    rows = [",".join([*line.split(",")[:2], "1"]) for line in lines[1:]]
    path = data.parent / "ones.csv"
    path.write_text("\n".join(["user,item,rating", *rows]) + "\n")
    return path


@pytest.mark.parametrize("label", ["rating>=4", "rating>=1", "rating"])
@pytest.mark.parametrize("chosen", [[], ["--l2", 0.2]], ids=["validation", "given"])
def test_ratings_that_are_all_alike_are_told_to_be_positives(
    ifru: Ifru, ones: Path, label: str, chosen: list[object]
) -> None:
    ended = ifru("train", ones, "--out", "memory://no-ones", "--label", label, *chosen)
    assert (ended.code, ended.out) == (2, "")
    assert "column 'rating' is 1 in all 500 rows" in ended.err
    assert "--label positive:1" in ended.err


def test_ratings_that_are_all_alike_are_trained_on_as_positives(ifru: Ifru, ones: Path) -> None:
    assert ifru("train", ones, "--out", "memory://ones", "--label", "positive:1", "--json").document["ready"]


@pytest.mark.parametrize(("label", "same"), [("rating>=1", 1), ("rating>=6", 0)])
def test_a_rule_that_labels_all_rows_alike_is_refused(ifru: Ifru, data: Path, label: str, same: int) -> None:
    ended = ifru("train", data, "--out", "memory://alike", "--label", label, "--l2", 0.2)
    assert ended.code == 2
    assert f"all 400 rows to train on have the label {same}" in ended.err


def test_no_auc_is_explained(ifru: Ifru, data: Path) -> None:
    ended = ifru("train", data, "--out", "memory://unheld", "--rank", 4, "--l2", 0.3, "--holdout", 0)
    assert "- (no rows are held out)" in ended.out


def test_positives_with_sampled_negatives_are_trained_on(ifru: Ifru, data: Path) -> None:
    arguments = ["--out", "memory://positive", "--label", "positive:1", "--rank", 8, "--l2", 0.2, "--json"]
    assert ifru("train", data, *arguments).document["rows"] == {"train": 800, "holdout": 200}


@pytest.mark.parametrize("model", [["--bias", "--l2", "0.2"], ["--model", "lightgcn", "--l2", "0.05"]])
def test_preferences_are_trained_on_proven_and_verified(
    ifru: Ifru, data: Path, tmp_path: Path, model: list[str]
) -> None:
    url = f"file://{tmp_path / 'preferred'}"
    asked = ["--loss", "bpr", "--label", "positive:2", "--dtype", "float64", "--json"]
    said = ifru("train", data, "--out", url, *model, *asked).document
    assert (said["verdict"], said["rows"]) == ("proven optimal", {"train": 1200, "holdout": 300})
    assert ifru("prove", url, "--own", "--json").document["retained"] == 800
    pairs = [line.split(",")[:2] for line in data.read_text().splitlines()[1:4]]
    wanted = [{"type": "erase_interactions", "interactions": pairs}, {"type": "erase_item", "subject": "i3"}]
    found = ifru("verify", url, "--requests", requests(tmp_path / "r.jsonl", *wanted), "--json").document
    assert found["left"]["forget"] <= 0.02
    assert found["left"]["holdout"] <= 0.05
    assert 0 < found["rms"]["true"] <= found["rms"]["bound"]


def test_prove_gives_the_figures_of_the_contract(ifru: Ifru, store: str) -> None:
    said = ifru("prove", store, "--json").document
    assert {"objective", "gap", "relative_gap", "sigma_over_lambda", "rms_bound", "retained"} <= keys(said)
    assert said["retained"] == 400
    assert 0 < said["relative_gap"] < 1e-6
    assert said["sigma_over_lambda"] == pytest.approx(1, abs=1e-4)
    assert "relative gap" in ifru("prove", store, "--version", 1).out


def test_prove_takes_the_better_dual_point_and_says_whose_it_is(ifru: Ifru, store: str, tmp_path: Path) -> None:
    file = tmp_path / "dual.safetensors"
    tight = ifru("prove", store, "--save-dual", file, "--json").document
    own = ifru("prove", store, "--own", "--json").document
    given = ifru("prove", store, "--dual", file, "--json").document
    assert [each["dual_point"] for each in (tight, own, given)] == ["solution", "version", "file"]
    assert (tight["rank_limited"], own["rank_limited"]) == (False, None)
    assert tight["rms_bound"] < own["rms_bound"]
    assert given["rms_bound"] == pytest.approx(tight["rms_bound"], rel=0.05)
    assert "that of a better solution" in ifru("prove", store).out


def test_a_stored_dual_point_checks_later_versions_only_where_the_data_are_the_same(
    ifru: Ifru, data: Path, tmp_path: Path
) -> None:
    url, file = "memory://stored", tmp_path / "dual.safetensors"
    assert ifru("train", data, "--out", url, "--rank", 8, "--l2", 0.2).code == 0
    forget(url, "u3")
    assert ifru("prove", url, "--save-dual", file).code == 0
    assert ifru("prove", url, "--dual", file, "--version", 2).code == 0
    refused = ifru("prove", url, "--dual", file, "--version", 1)
    assert refused.code == 2
    assert "a dual point serves only the data that it was computed on" in refused.err


def test_prove_says_where_the_rank_is_too_small(ifru: Ifru, data: Path) -> None:
    assert ifru("train", data, "--out", "memory://short", "--rank", 1, "--l2", 0.1).code == 0
    assert ifru("prove", "memory://short", "--json").document["rank_limited"] is True
    assert "the optimum needs more dimensions" in ifru("prove", "memory://short").out


def test_inspect_shows_the_manifest_and_its_past(ifru: Ifru, store: str) -> None:
    said = ifru("inspect", store, "--json").document
    assert (said["version"], said["kind"], said["parent"], said["retained"], said["events"]) == (
        1,
        "full",
        None,
        400,
        0,
    )
    assert {"model", "residual", "positions", "quality", "files", "attempt", "time"} <= keys(said)
    assert [line["version"] for line in said["history"]] == [1]
    assert {file["role"] for file in said["files"]} >= {"model", "train", "holdout", "users", "items"}
    text = ifru("inspect", store).out
    assert "400 trained on, 100 held out" in text
    assert said["files"][0]["path"] in text


def requests(path: Path, *lines: dict[str, object]) -> Path:
    base = {"time": "2026-11-21T10:00:00Z"}
    path.write_text("".join(json.dumps({"id": f"r{n}", **base, **line}) + "\n" for n, line in enumerate(lines)))
    return path


def test_verify_gives_the_figures_of_the_contract(ifru: Ifru, store: str, tmp_path: Path) -> None:
    asked = requests(
        tmp_path / "r.jsonl",
        {"type": "erase_user", "subject": "u3"},
        {"type": "erase_item", "subject": "nothing"},
    )
    ended = ifru("verify", store, "--requests", asked, "--tolerance", 0.01, "--floor", 1, "--json")
    assert ended.err == ""
    said = ended.document
    for name in ("left", "floor"):
        assert keys(said, name) == {"forget", "neighbours", "holdout"}
    assert keys(said, "auc") == {"before", "after", "retrained"}
    assert keys(said, "seconds") >= {"update", "retrain"}
    assert keys(said, "rms") == {"true", "bound"}
    assert (said["requests"], said["unknown"]) == (2, 1)
    assert said["left"]["forget"] == 0
    assert 0 < said["residual_influence"] < 0.02
    assert said["rms"]["true"] <= said["rms"]["bound"]
    assert Reader(open_store(store)).newest() == 1


def test_verify_ends_in_one_sentence_for_people(ifru: Ifru, store: str, tmp_path: Path) -> None:
    asked = requests(tmp_path / "r.jsonl", {"type": "erase_user", "subject": "u3"})
    ended = ifru("verify", store, "--requests", asked)
    assert ended.code == 0
    last = ended.out.strip().splitlines()[-1]
    assert last.startswith("Of the change that retraining makes, the update leaves 0 % on forgotten pairs and ")
    assert "u3" not in ended.out


def forget(url: str, user: str) -> None:
    """Publish the next version, without a user."""
    opened = open_store(url)
    loaded = Reader(opened).load()
    engine = Engine(loaded.manifest.model, loaded.parameters, loaded.dataset, EngineSettings())
    row = loaded.dataset.users.row(user)
    assert row is not None
    update = engine.apply(loaded.dataset.of_user(row))
    change = Change(
        update=update.parameters,
        deletion=update.deletion,
        positions={"requests": {0: 17}},
        events=["a keyed hash"],
        residual=loaded.manifest.residual.model_copy(update={"influence": update.influence, "method": update.method}),
    )
    Writer(opened, lambda: datetime.now(UTC), lambda: "second").commit(loaded.manifest, change)


def test_a_later_version_is_told_from_its_parent(ifru: Ifru, data: Path, tmp_path: Path) -> None:
    url = "memory://later"
    assert ifru("train", data, "--out", url, "--rank", 8, "--l2", 0.2).code == 0
    forget(url, "u3")
    said = ifru("inspect", url, "--json").document
    assert [(line["version"], line["kind"]) for line in said["history"]] == [(2, "delta"), (1, "full")]
    assert (said["events"], said["positions"], said["parent"]) == (1, {"requests": {"0": 17}}, 1)
    assert "a keyed hash" not in ifru("inspect", url, "--json").out
    assert said["parent_sha256"] == ifru("inspect", url, "--version", 1, "--json").document["sha256"]
    assert (said["epoch"], said["held"], said["tables"]["user"]) == (1, 0, {"rows": 30, "dtype": "float32"})
    text = ifru("inspect", url).out
    assert "requests 0: 17" in text
    assert "in epoch 1" in text
    assert said["parent_sha256"] in text
    assert "rank 8, loss bce, l2 0.2, bias no" in text
    assert ifru("inspect", url, "--version", 1, "--json").document["version"] == 1

    first, second = (ifru("prove", url, "--version", n, "--json").document for n in (1, 2))
    assert second["retained"] < first["retained"] == 400
    assert second["gap"] > first["gap"]
    assert ifru("prove", url, "--json").document["retained"] == second["retained"]

    asked = requests(tmp_path / "r.jsonl", {"type": "erase_user", "subject": "u3"})
    assert ifru("verify", url, "--requests", asked).code == 2
    assert ifru("verify", url, "--requests", asked, "--version", 1).code == 0


WRONG = [
    (["train", "missing.csv", "--out", "memory://w"], "missing.csv"),
    (["train", "DATA", "--out", "memory://w", "--l2", "0"], "--l2"),
    (["train", "DATA", "--out", "memory://w", "--label", "stars>=4"], "'stars'"),
    (["train", "DATA", "--out", "memory://w", "--label", "a b"], "'a b'"),
    (["train", "DATA", "--out", "memory://w", "--label", "rating", "--l2", "1"], "--loss squared"),
    (["train", "DATA", "--out", "memory://w", "--loss", "bpr", "--l2", "1"], "use --label positive:1"),
    (["train", "DATA", "--out", "memory://w", "--loss", "bpr", "--model", "neumf"], "--loss is 'bpr'"),
    (["train", "DATA", "--out", "memory://w", "--holdout", "1.5"], "1.5"),
    (["train", "DATA", "--out", "memory://w", "--device", "abacus"], "'abacus'"),
    (["train", "DATA", "--out", "ftp://w"], "ftp://w"),
    (["train", "DATA", "--out", "memory://w", "--model", "lightgcn", "--bias"], "--bias is no option of the model"),
    (["train", "DATA", "--out", "memory://w", "--model", "abacus"], "lightgcn, mf"),
    (["train", "DATA", "--out", "STORE"], "in use"),
    (["prove", "memory://nothing-here"], "no version"),
    (["prove", "STORE", "--version", "7"], "version 7"),
    (["prove", "STORE", "--own", "--dual", "DATA"], "--own and --dual"),
    (["prove", "STORE", "--dual", "missing.safetensors"], "missing.safetensors"),
    (["prove", "STORE", "--dual", "DATA"], "no dual point can be read"),
    (["prove", "STORE", "--own", "--save-dual", "missing/dual.safetensors"], "cannot be written"),
    (["inspect", "STORE", "--version", "7"], "version 7"),
    (["verify", "STORE", "--requests", "missing.jsonl"], "missing.jsonl"),
    (["verify", "STORE", "--requests", "BAD"], "line 2: subject: is missing"),
    (["verify", "STORE", "--requests", "UNKNOWN"], "none of the 1 requests"),
    (["verify", "STORE", "--requests", "UNKNOWN", "--tolerance", "2"], "--tolerance"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_wrong_input_is_one_line_on_stderr_and_exit_code_2(
    ifru: Ifru, store: str, data: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    named = {
        "DATA": data,
        "STORE": store,
        "UNKNOWN": requests(tmp_path / "unknown.jsonl", {"type": "erase_user", "subject": "nobody"}),
        "BAD": requests(
            tmp_path / "bad.jsonl", {"type": "erase_user", "subject": "u1"}, {"type": "erase_user", "subjct": "u1"}
        ),
    }
    ended = ifru(*(named.get(argument, argument) for argument in arguments))
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("ifru: ")
    assert ended.err.count("\n") == 1
    assert said in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["train"],
        ["train", "x.csv"],
        ["train", "x.csv", "--out", "memory://x", "--rank", "0"],
        ["train", "x.csv", "--out", "memory://x", "--rank", "some"],
        ["train", "x.csv", "--out", "memory://x", "--loss", "hinge"],
        ["prove", "memory://x", "--version", "0"],
    ],
)
def test_a_wrong_use_of_the_command_exits_2(ifru: Ifru, arguments: list[str]) -> None:
    assert ifru(*arguments).code == 2


@pytest.mark.parametrize("command", ["train", "verify", "prove", "inspect"])
def test_every_command_explains_itself(ifru: Ifru, command: str) -> None:
    ended = ifru(command, "--help")
    assert ended.code == 0
    assert "--json" in ended.out
