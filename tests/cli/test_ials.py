"""iALS through the commands: trained on positives alone, verified, and proven."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ifru.cli import main
from ifru.interactions.generated import generate


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recorded = generate(60, 40, 500, seed=3)
    rows = [f"{recorded.users[u]},{recorded.items[i]}" for u, i in zip(recorded.user, recorded.item, strict=True)]
    file = tmp_path_factory.mktemp("data") / "clicks.csv"
    file.write_text("\n".join(["user,item", *rows]))
    return file


def said(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    out, error = capfd.readouterr()
    assert ended.value.code == code, error
    return out if code == 0 else error


def test_a_model_is_trained_verified_and_proven(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store, dual, requests = f"file://{tmp_path / 'model'}", str(tmp_path / "dual"), tmp_path / "requests.jsonl"
    options = ["--model", "ials", "--alpha", "4", "--l2", "6", "--penalty", "plain", "--json"]
    trained = json.loads(said(capfd, "train", str(data), *options, "--out", store))
    assert trained["ready"]
    assert trained["auc"] is None
    user = data.read_text().splitlines()[1].split(",")[0]
    request = {"id": "1", "type": "erase_user", "subject": user, "time": "2026-01-01T00:00:00Z"}
    requests.write_text(json.dumps(request))
    found = json.loads(said(capfd, "verify", store, "--requests", str(requests), "--json"))
    assert found["left"]["holdout"] <= 0.1
    assert found["rms"]["true"] <= found["rms"]["bound"]
    proven = json.loads(said(capfd, "prove", store, "--json", "--save-dual", dual))
    again = json.loads(said(capfd, "prove", store, "--json", "--dual", dual))
    assert again["gap"] == pytest.approx(proven["gap"], rel=1e-3, abs=1e-9 * proven["objective"])


def test_a_penalty_is_chosen_among_those_that_fit_rows_of_so_many_interactions(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "train",
        str(data),
        "--model",
        "ials",
        "--rank",
        "4",
        "--json",
        "--out",
        f"file://{tmp_path / 'model'}",
    ]
    trained = json.loads(said(capfd, *arguments))
    mean = 2 * trained["rows"]["train"] / (trained["users"] + trained["items"])
    assert [tried["l2"] for tried in trained["tried"]][:2] == pytest.approx([0.5 * mean, 0.2 * mean], rel=0.1)
    assert trained["l2"] == max(trained["tried"], key=lambda tried: tried["auc"])["l2"]


def test_options_that_do_not_belong_together_are_refused(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", str(data), "--l2", "1", "--label", "positive:1", "--out", f"file://{tmp_path / 'model'}"]
    assert "--alpha is no option of the model 'mf'" in said(capfd, *arguments, "--alpha", "2", code=2)
    assert "--loss is 'bce'" in said(capfd, *arguments, "--model", "ials", "--loss", "bce", code=2)
