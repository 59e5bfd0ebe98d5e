"""Models of neural scores from the command line: trained as practised, published, read back, verified."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ifru.cli import main
from ifru.models import known
from ifru.models.quality import holdout_auc
from ifru.snapshots import Reader, open_store


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    pairs = random.permutation(40 * 30)[:800]
    taste, kind = random.normal(size=(40, 2)), random.normal(size=(30, 2))
    lines = ["user,item,rating"]
    for user, item in zip(*np.divmod(pairs, 30), strict=True):
        lines.append(f"u{user},i{item},{3 + taste[user] @ kind[item] + 0.3 * random.normal():.2f}")
    path = tmp_path_factory.mktemp("data") / "ratings.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def said(capfd: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    assert ended.value.code == code, err
    return err if code else out


@pytest.mark.parametrize("name", ["neumf", "two-tower", "deepfm", "tests.models.scored:make"])
def test_a_neural_model_is_trained_as_practised_and_published_with_how_that_was(
    name: str, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = f"file://{tmp_path}/models"
    options = ("--model", name, "--rank", 8 if name in known() else 4, "--l2", 0.01, "--label", "rating>=3")
    document = json.loads(said(capfd, "train", data, "--out", out, *options, "--json"))
    assert document["provable"] is False
    assert document["ready"] is False
    assert document["reason"] == "epochs"
    assert document["gradient_norm"] is None
    assert document["practice"].keys() == {"batch", "step", "epochs"}
    version = Reader(open_store(out)).load()
    assert version.manifest.model.name == (name if name in known() else "module")
    assert version.manifest.model.model_dump()["practice"] == document["practice"]
    assert version.parameters.user.dtype == torch.float32
    auc = holdout_auc(version.manifest.model, version.parameters, version.dataset)
    assert auc == pytest.approx(document["auc"], abs=1e-9)


def test_people_are_told_how_it_was_trained_and_that_there_is_no_proof(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = said(
        capfd,
        "train",
        data,
        "--out",
        f"file://{tmp_path}/m",
        "--model",
        "neumf",
        "--l2",
        "0.01",
        "--label",
        "rating>=3",
    )
    assert "no proof is known for models of this kind" in out
    assert "epochs, batches of" in out
    assert "gradient norm" not in out
    assert "neumf, rank 32, λ 0.01" in out


def test_verify_holds_an_update_against_several_retrains_and_says_that_there_is_no_proof(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out, asked = f"file://{tmp_path}/models", tmp_path / "requests.jsonl"
    options = ("--model", "neumf", "--rank", 8, "--l2", 0.02, "--label", "rating>=3")
    said(capfd, "train", data, "--out", out, *options)
    asked.write_text('{"id": "1", "type": "erase_user", "subject": "u3", "time": "2026-11-21T10:00:00Z"}\n')
    document = json.loads(said(capfd, "verify", out, "--requests", asked, "--json"))
    assert len(document["retrained"]) == 3
    for model in (document["before"], document["after"], *document["retrained"]):
        assert model.keys() == {"forget", "neighbours", "holdout", "attack"}
        assert model["holdout"].keys() == {"loss", "auc", "ndcg10"}
    # Whoever has no data left scores 0 everywhere.
    assert document["after"]["forget"]["loss"] == pytest.approx(np.log(2))
    text = said(capfd, "verify", out, "--requests", asked, "--retrains", 4)
    assert "There is no proof for models of this kind" in text
    assert "retrain 4" in text
    assert "found by the attack at 1 % false positives" in " ".join(text.split())
    assert "--retrains is 1" in said(capfd, "verify", out, "--requests", asked, "--retrains", 1, code=2)
