"""Checkpoints that RecBole saved: objects of classes that are not there, and of ones that had better not be."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ifru.errors import DataError
from ifru.importing.recbole import read_recbole


@pytest.fixture
def config() -> Iterator[type]:
    """RecBole's Config: a class that is there while a checkpoint is written, and not when it is read."""
    module = ModuleType("recbole_not_installed")

    class Config:
        def __init__(self, settings: dict[str, object]) -> None:
            self.final_config_dict = settings

    Config.__module__, Config.__qualname__ = module.__name__, "Config"
    module.Config = Config  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    yield Config
    sys.modules.pop(module.__name__, None)


def saved(folder: Path, kind: Any, **more: object) -> tuple[Path, dict[str, Tensor]]:
    model = nn.ModuleDict({"user_embedding": nn.Embedding(5, 3), "item_embedding": nn.Embedding(7, 3)})
    optimizer = torch.optim.Adam(model.parameters())
    sum(parameter.sum() for parameter in model.parameters()).backward()
    optimizer.step()
    settings = {"model": "LightGCN", "n_layers": 3, "reg_weight": 1e-4, "device": torch.device("cpu")}
    state = {"config": kind(settings), "epoch": 3, "state_dict": model.state_dict(), "other_parameter": None}
    path = folder / "model.pth"
    torch.save(state | {"optimizer": optimizer.state_dict()} | more, path, pickle_protocol=4)
    sys.modules.pop("recbole_not_installed")
    return path, model.state_dict()


def test_tables_come_without_the_row_for_padding_and_with_what_they_were_configured_by(
    tmp_path: Path, config: type
) -> None:
    path, state = saved(tmp_path, config)
    found = read_recbole(path)
    user, item = found.tables["embedding"]
    torch.testing.assert_close(user, state["user_embedding.weight"][1:])
    torch.testing.assert_close(item, state["item_embedding.weight"][1:])
    assert (found.model, found.settings["n_layers"], found.settings["reg_weight"]) == ("LightGCN", 3, 1e-4)
    assert found.weights == {}


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path, config: type) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "harm"),)

    path, _ = saved(tmp_path, config, other_parameter=Harmful())
    assert read_recbole(path).model == "LightGCN"
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"state_dict": {}}, "has no user_embedding.weight"),
        ({"state_dict": None}, "holds no state_dict"),
        ({"state_dict": {"user_embedding.weight": torch.zeros(5, 3)}}, r"is \[5, 3\], and the items' table"),
        ({"state_dict": {"user_embedding.weight": torch.full((5, 3), torch.nan)}}, "not finite"),
        ({"config": None}, "is of the model None; allowed are BPR, LightGCN, NeuMF"),
    ],
)
def test_what_is_no_such_model_is_named(tmp_path: Path, config: type, more: dict[str, object], said: str) -> None:
    path, _ = saved(tmp_path, config, **more)
    with pytest.raises(DataError, match=said):
        read_recbole(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04nothing", b"\x80\x04."])
def test_a_file_of_another_kind_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as a checkpoint"):
        read_recbole(path)
