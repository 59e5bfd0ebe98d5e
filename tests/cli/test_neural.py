"""Models of neural scores from the command line: trained as practised, published, read back, verified."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ifru.cli import main
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


@pytest.mark.parametrize("name", ["neumf", "two-tower", "deepfm"])
def test_a_neural_model_is_trained_as_practised_and_published_with_how_that_was(
    name: str, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = f"file://{tmp_path}/models"
    options = ("--model", name, "--rank", 8, "--l2", 0.01, "--label", "rating>=3")
    document = json.loads(said(capfd, "train", data, "--out", out, *options, "--json"))
    assert document["provable"] is False
    assert document["ready"] is False
    assert document["reason"] == "epochs"
    assert document["gradient_norm"] is None
    assert document["practice"].keys() == {"batch", "step", "epochs"}
    version = Reader(open_store(out)).load()
    assert version.manifest.model.name == name
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
