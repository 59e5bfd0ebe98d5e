"""Models of which no proof is known: they are trained and published like others, and commands say so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ifru.cli import main
from ifru.cli.train import publish
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models.proving import prove
from ifru.proof import ProofError
from ifru.snapshots import Reader, open_store
from ifru.training import train
from tests.models.bent import BentConfig


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    dataset = split(generate(40, 30, 250, seed=3), LabelRule.parse("rating>=4"), 0.2, seed=0)
    trained = train(dataset, [BentConfig(rank=2, l2=0.2, sharpness=0.1)])
    assert trained.proof is None
    assert not trained.ready
    assert "no proof is known" in trained.verdict
    url = f"file://{tmp_path_factory.mktemp('models') / 'bent'}"
    publish(open_store(url), trained, dataset)
    return url


def said(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    out, _ = capfd.readouterr()
    assert ended.value.code == 0
    return out


def test_prove_ends_well_and_says_that_there_is_no_proof(
    store: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "dual.safetensors"
    assert json.loads(said(capfd, "prove", store, "--json", "--save-dual", str(file))) == {
        "version": 1,
        "provable": False,
        "model": "bent",
    }
    assert "No proof is known for models of the kind 'bent'" in said(capfd, "prove", store, "--own")
    assert not file.exists()


def test_a_proof_of_such_a_model_is_refused(store: str) -> None:
    version = Reader(open_store(store)).load()
    with pytest.raises(ProofError, match="'bent'"):
        prove(version.parameters, version.dataset.train, version.manifest.model, random=torch.Generator())
