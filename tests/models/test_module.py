"""A user's own module as a model: what is imported when, what is refused, and how it scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.errors import DataError, IfruError
from ifru.models import config_of, known, model_of
from ifru.models.factory import ModuleError, module_of, use_module
from ifru.models.module import ModuleConfig, ModuleModel
from ifru.models.proving import prove
from ifru.models.quality import scorer, scores
from ifru.objective import Capabilities
from ifru.objective.parameters import Parameters
from ifru.proof import ProofError
from tests.models.modules import drawn, module_config, objective_of, plain_scores, ratings

HERE = "tests.models.scored"


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("tests.models.scored", r"is no factory; one is named like package\.module:factory"),
        ("no_such_package.module:make", r"cannot be imported \(ModuleNotFoundError: No module named 'no_such_package'"),
        (f"{HERE}:nothing", "cannot be imported .*nothing.* put its folder on PYTHONPATH"),
        (f"{HERE}:NO_FACTORY", "is a int; a callable that returns a module is due"),
    ],
)
def test_a_factory_that_cannot_be_imported_is_one_sentence(factory: str, said: str) -> None:
    with pytest.raises(ModuleError, match=said) as raised:
        use_module(factory)
    assert "\n" not in str(raised.value)


def test_a_factory_that_fails_is_one_sentence() -> None:
    use_module(f"{HERE}:broken")
    with pytest.raises(ModuleError, match=r"cannot be built \(ValueError: there are no weights\)"):
        module_of(f"{HERE}:broken")


def test_a_factory_that_makes_no_module_is_one_sentence() -> None:
    use_module("builtins:dict")
    with pytest.raises(ModuleError, match=r"returned a dict; a torch\.nn\.Module is due"):
        module_of("builtins:dict")


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("Wide", r"returned \(\d+, 4\) for \d+ pairs; scores of shape \(\d+,\) are due"),
        ("Logarithm", "interactions by what is no finite number"),
        ("Normalised", "has a BatchNorm1d: its statistics are of all data"),
        ("with_features", r"failed on rows \(\d+, 4\) and \(\d+, 4\) with features None and None: "),
    ],
)
def test_a_module_that_cannot_score_is_refused_by_one_sentence(factory: str, said: str) -> None:
    config, dataset = module_config(factory), ratings()
    with pytest.raises(DataError, match=said) as raised:
        Engine(config, drawn(config, dataset), dataset, EngineSettings())
    assert "\n" not in str(raised.value)


def test_what_a_factory_builds_is_held_against_the_version() -> None:
    made = module_config().described()
    other = ModuleConfig.model_validate(made.model_dump() | {"factory": module_config("with_features").factory})
    with pytest.raises(ModuleError, match=r"has the parameters .*'hidden\.weight': \(5, 12\).* made with .*\(5, 8\)"):
        objective_of(other, ratings())


@pytest.mark.parametrize(
    "given",
    [
        {"columns": {"embedding": 4}, "rank": 5},
        {"columns": {}},
        {"columns": {"embedding": 0}},
        {"columns": {"embedding": "many"}},
        {"factory": "os.system('true')"},
        {"damping": -1},
        {"shared": "moved"},
    ],
)
def test_a_wrong_configuration_is_refused(given: dict[str, object]) -> None:
    whole = {"name": "module", "factory": f"{HERE}:make", "columns": {"embedding": 4}, "l2": 0.1}
    assert isinstance(config_of(whole), ModuleConfig)
    with pytest.raises(ValidationError):
        config_of(whole | given)


def test_it_comes_back_from_its_document_and_can_be_a_key() -> None:
    config = module_config(columns={"taste": 3, "bias": 1}).described()
    again = config_of(config.model_dump(mode="json"))
    assert again == config
    assert {config: 1}[again] == 1
    assert config.rank == 4
    assert model_of(again).layout(3, 2).columns == {"taste": 3, "bias": 1}


def test_a_described_configuration_has_a_layout_without_its_module() -> None:
    known_module = module_config().described()
    elsewhere = ModuleConfig.model_validate(known_module.model_dump() | {"factory": "tests.models.elsewhere:make"})
    assert model_of(elsewhere).layout(3, 2) == model_of(known_module).layout(3, 2)


def test_only_what_is_true_is_declared() -> None:
    assert "module" in known()
    assert ModuleModel(module_config()).capabilities == Capabilities(response=True)
    dataset = ratings()
    with pytest.raises(ProofError, match="no proof is known"):
        prove(drawn(module_config(), dataset), dataset.train, module_config(), random=torch.Generator())


@pytest.mark.parametrize("factory", ["make", "with_features"])
def test_scores_are_the_modules_own(factory: str) -> None:
    config, dataset = module_config(factory), ratings(features=factory == "with_features")
    parameters, objective = drawn(config, dataset), objective_of(config, dataset)
    expected = plain_scores(parameters.stacked(), objective).numpy()
    serving = model_of(config).serving(parameters, dataset.train)
    found = scores(config, serving, dataset.train.user, dataset.train.item)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    whole = scorer(config, serving).all_scores(serving.user, serving.item)
    np.testing.assert_allclose(whole.numpy()[dataset.train.user, dataset.train.item], expected, rtol=1e-10)


def test_no_pairs_have_no_scores() -> None:
    config, nobody = module_config(), np.empty(0, dtype=np.int64)
    parameters = drawn(config, ratings())
    serving = Parameters(parameters.tables, parameters.shared)
    assert scores(config, serving, nobody, nobody).shape == (0,)


def test_errors_of_modules_end_a_program_as_the_inputs_own() -> None:
    assert issubclass(ModuleError, IfruError)


def test_features_of_an_erased_user_are_erased(tmp_path: Path) -> None:
    dataset = ratings(features=True)
    assert dataset.train.features["user"][7].any()
    copy = dataset.copy()
    dataset.delete(dataset.of_user(7))
    assert not dataset.train.features["user"][7].any()
    assert copy.train.features["user"][7].any()
