"""`ifru prove` of chosen pairs: of a file, and of what a request deleted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ifru.cli import main
from ifru.evaluation.chosen_pairs import pair_scores
from ifru.models.lightgcn import LightGCNConfig
from ifru.objective.tilted import ChosenPairs
from ifru.snapshots import Reader, Version, open_store
from ifru.training import fit, polish
from tests.fixtures.forgetting_store import forget, publish

ROWS = {"alone": [3, 11, 12], "first": [40], "second": [80, 81]}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Version 2 answered one request, version 3 two."""
    url = f"file://{tmp_path_factory.mktemp('models') / 'one'}"
    publish(url)
    forget(url, ["alone"], ROWS["alone"])
    forget(url, ["first", "second"], ROWS["first"] + ROWS["second"])
    return url


@pytest.fixture
def prove(capfd: pytest.CaptureFixture[str], url: str) -> Any:
    def run(*arguments: object, code: int = 0, at: str = url) -> Any:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["prove", at, *map(str, arguments)])
        out, error = capfd.readouterr()
        assert ended.value.code == code, error
        if code:
            return error
        return json.loads(out) if "--json" in arguments else out

    return run


def pairs_of(version: Version, rows: list[int]) -> ChosenPairs:
    """Deleted rows, in the order of their pairs."""
    table = version.dataset.train
    user, item = (torch.from_numpy(side[rows]).long() for side in (table.user, table.item))
    order = torch.argsort(user * table.items + item)
    return ChosenPairs(user[order], item[order], torch.ones(len(rows), dtype=torch.float64))


def csv_of(path: Path, version: Version, rows: list[int]) -> Path:
    data = version.dataset
    lines = [f"{data.users.name(data.train.user[row])},{data.items.name(data.train.item[row])}" for row in rows]
    path.write_text("\n".join(["user,item", *lines]) + "\n")
    return path


def test_a_requests_interval_holds_what_a_retrained_model_says(prove: Any, url: str) -> None:
    said = prove("--request", "alone", "--version", 2, "--json")
    before, after = (Reader(open_store(url)).load(number) for number in (1, 2))
    pairs, config, train = pairs_of(before, ROWS["alone"]), after.manifest.model, after.dataset.train
    scratch = fit(train, config, seed=3, device=torch.device("cpu"), dtype=torch.float64)
    exact = polish(train, config, scratch.theta).parameters
    change = pair_scores(config, before.serving, pairs) - pair_scores(config, after.serving, pairs)
    weight = change / change.norm()
    retrained = float((weight * pair_scores(config, exact, pairs)).sum())
    published = float((weight * pair_scores(config, after.serving, pairs)).sum())
    assert said["low"] <= retrained <= said["high"]
    assert said["published"] == pytest.approx(published)
    assert said["change"] == pytest.approx(float(change.norm()))
    assert said["bound"] == pytest.approx(max(published - said["low"], said["high"] - published))
    assert said["left_at_most"] == pytest.approx(said["bound"] / said["change"])
    assert said["left_at_most"] < 0.2
    assert (said["version"], said["answered_by"], said["change_from"]) == (2, 2, 1)
    assert (said["pairs"], said["requests_of_that_version"]) == (3, 1)
    assert 0 < said["failure_probability"] < 1e-10
    assert said["products"] > 0
    assert said["seconds"] > 0


def test_a_request_that_shared_its_version_is_proven_with_the_others_and_that_is_said(prove: Any) -> None:
    said = prove("--request", "second", "--json")
    assert (said["pairs"], said["requests_of_that_version"], said["answered_by"]) == (3, 2, 3)
    assert "requests of that version" in prove("--request", "second")


def test_a_later_version_says_what_it_says_of_an_older_request(prove: Any) -> None:
    said = prove("--request", "alone", "--json")
    assert (said["version"], said["answered_by"], said["change_from"]) == (3, 2, 1)


def test_pairs_of_a_file_are_proven_together_by_their_mean_or_each_for_itself(
    prove: Any, url: str, tmp_path: Path
) -> None:
    file = csv_of(tmp_path / "pairs.csv", Reader(open_store(url)).load(1), [3, 11, 3])
    with file.open("a") as more:
        more.write("nobody,i1\n")
    together = prove("--pairs", file, "--json")
    assert (together["pairs"], together["unknown_pairs"]) == (2, 1)
    mean = prove("--pairs", file, "--mean", "--json")
    each = prove("--pairs", file, "--each", "--json")["each"]
    assert [one["pair"] for one in each] == [1, 2]
    middle = np.mean([[one["low"], one["high"]] for one in each], axis=0)
    assert middle[0] - 1e-3 <= mean["low"] <= mean["high"] <= middle[1] + 1e-3
    assert mean["published"] == pytest.approx(np.mean([one["published"] for one in each]))
    assert "left at most" in prove("--pairs", file, "--each")


def test_the_first_version_has_nothing_that_it_changed_from(prove: Any, url: str, tmp_path: Path) -> None:
    file = csv_of(tmp_path / "pairs.csv", Reader(open_store(url)).load(1), [3])
    said = prove("--pairs", file, "--version", 1, "--json")
    assert (said["change"], said["left_at_most"], said["change_from"]) == (None, None, None)
    assert said["low"] <= said["published"] + 1e-3


def test_an_auditor_checks_a_stored_dual_point_without_solving(prove: Any, tmp_path: Path) -> None:
    file = tmp_path / "dual.safetensors"
    made = prove("--request", "alone", "--save-dual", file, "--json")
    checked = prove("--request", "alone", "--dual", file, "--json")
    assert checked["products"] == 0
    width = made["high"] - made["low"]
    assert (checked["low"], checked["high"]) == pytest.approx((made["low"], made["high"]), abs=0.1 * width)
    assert checked["published"] == made["published"]


def test_a_dual_point_of_other_pairs_weights_or_versions_is_refused(prove: Any, url: str, tmp_path: Path) -> None:
    file = tmp_path / "dual.safetensors"
    prove("--request", "alone", "--save-dual", file, "--json")
    other = csv_of(tmp_path / "pairs.csv", Reader(open_store(url)).load(1), [5, 6, 7])
    assert "is for other pairs" in prove("--pairs", other, "--dual", file, code=2)
    assert "is for other pairs" in prove("--request", "first", "--dual", file, code=2)
    assert "weighs its pairs in another way" in prove("--request", "alone", "--mean", "--dual", file, code=2)
    refused = prove("--request", "alone", "--version", 2, "--dual", file, code=2)
    assert "serves only the data that it was computed on" in refused or "weighs its pairs" in refused
    file.write_bytes(b"nothing")
    assert "no dual point of pairs can be read" in prove("--request", "alone", "--dual", file, code=2)


def test_what_cannot_be_used_is_refused_with_what_to_do(prove: Any, tmp_path: Path) -> None:
    assert "check its id and --source" in prove("--request", "nobody", code=2)
    assert "check its id and --source" in prove("--request", "alone", "--source", "shop", code=2)
    file = tmp_path / "pairs.csv"
    assert "cannot be read" in prove("--pairs", file, code=2)
    file.write_text("a,b\n1,2\n")
    assert "the first line is to be 'user,item'" in prove("--pairs", file, code=2)
    file.write_text("user,item\nu1\n")
    assert "line 2" in prove("--pairs", file, code=2)
    file.write_text("user,item\nnobody,nothing\n")
    assert "none of its 1 pairs is known" in prove("--pairs", file, code=2)
    assert "give one of them" in prove("--pairs", file, "--request", "alone", code=2)
    assert "no dual point of the version's own" in prove("--request", "alone", "--own", code=2)
    assert "for all pairs together" in prove("--request", "alone", "--each", "--save-dual", file, code=2)
    assert "are for --pairs or --request" in prove("--mean", code=2)


def test_rows_that_are_passed_along_a_graph_are_proven_too(prove: Any) -> None:
    at = "memory://passed-on"
    publish(at, LightGCNConfig(rank=12, l2=0.1))
    forget(at, ["alone"], ROWS["alone"])
    said = prove("--request", "alone", "--json", at=at)
    assert said["low"] <= said["high"]
    assert said["left_at_most"] < 0.3
