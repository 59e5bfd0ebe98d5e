"""Options of `ifru train` as configurations of a model."""

from __future__ import annotations

import pytest

from ifru.cli.candidates import candidates
from ifru.errors import IfruError
from ifru.models import MFConfig, UnknownModel
from ifru.models.lightgcn import LightGCNConfig
from ifru.models.module import ModuleConfig
from ifru.models.neumf import NeuMFConfig


def test_there_is_a_configuration_for_each_penalty() -> None:
    found = candidates("mf", 8, "squared", (0.2, 0.1), {"bias": True})
    assert found == [MFConfig(rank=8, l2=l2, loss="squared", bias=True) for l2 in (0.2, 0.1)]


def test_what_is_not_given_is_as_the_model_has_it() -> None:
    assert candidates("mf", 8, "bce", [0.2], {"bias": None, "layers": None}) == [MFConfig(rank=8, l2=0.2)]


def test_a_model_takes_options_of_its_own() -> None:
    found = candidates("lightgcn", 8, "bce", [0.2], {"bias": None, "layers": 3, "graph": "all"})
    assert found == [LightGCNConfig(rank=8, l2=0.2, layers=3, graph="all")]


def test_widths_of_hidden_layers_are_whole_numbers() -> None:
    (found,) = candidates("neumf", 8, "bce", [0.2], {"hidden": ["32", "8"]})
    assert found == NeuMFConfig(rank=8, l2=0.2, hidden=(32, 8))
    with pytest.raises(IfruError, match="--hidden is 'wide': Input should be a valid integer"):
        candidates("neumf", 8, "bce", [0.2], {"hidden": ["32", "wide"]})


@pytest.mark.parametrize(
    ("model", "own", "said"),
    [
        ("mf", {"layers": 2}, "--layers is no option of the model 'mf'; its own options are --bias"),
        (
            "lightgcn",
            {"bias": True},
            "--bias is no option of the model 'lightgcn'; its own options are --graph, --layers",
        ),
    ],
)
def test_an_option_of_another_model_is_refused_with_those_of_this_one(
    model: str, own: dict[str, object], said: str
) -> None:
    with pytest.raises(IfruError, match=said):
        candidates(model, 8, "bce", [0.2], own)


def test_a_value_that_is_not_allowed_is_named_with_its_option() -> None:
    with pytest.raises(IfruError, match="--rank is 0: Input should be greater than 0"):
        candidates("mf", 0, "bce", [0.2], {})
    with pytest.raises(IfruError, match="--graph is 'some': Input should be 'positives' or 'all'"):
        candidates("lightgcn", 8, "bce", [0.2], {"graph": "some"})


def test_an_unknown_model_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UnknownModel, match=r"'abacus' is not known; known are .*mf"):
        candidates("abacus", 8, "bce", [0.2], {})


def test_a_module_of_ones_own_is_named_by_its_factory() -> None:
    factory = "tests.models.scored:make"
    (found,) = candidates(factory, 4, "bce", [0.2], {})
    assert isinstance(found, ModuleConfig)
    assert (found.factory, found.columns, found.rank, found.l2) == (factory, {"embedding": 4}, 4, 0.2)
    assert found.parameters is not None
    with pytest.raises(IfruError, match="'no_such_package:make' cannot be imported"):
        candidates("no_such_package:make", 4, "bce", [0.2], {})
