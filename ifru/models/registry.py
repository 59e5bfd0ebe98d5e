"""The models that are known, by name: those of this package, and what others register."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from ifru.errors import IfruError
from ifru.models.config import ModelConfig
from ifru.models.model import Model

GROUP = "ifru.models"
"""Entry points of other packages: name -> the module that registers the model."""

_BUILT_IN = {
    "deepfm": "ifru.models.deepfm",
    "ials": "ifru.models.ials",
    "lightgcn": "ifru.models.lightgcn",
    "mf": "ifru.models.mf",
    "module": "ifru.models.module",
    "neumf": "ifru.models.neumf",
    "two-tower": "ifru.models.two_tower",
}
"""Name -> the module that registers it, imported when the model is first asked for."""

_known: dict[str, tuple[type[ModelConfig], Callable[[Any], Model]]] = {}


class UnknownModel(IfruError):
    """A model whose name nobody has registered. where: the file that names it."""

    def __init__(self, name: object, where: str | None = None) -> None:
        self.name = name
        super().__init__(
            f"{f'{where}: ' if where else ''}the model {name!r} is not known; known are {', '.join(known())}: "
            f"install the package that has it as an entry point of the group {GROUP!r}, or update this program"
        )


def register(config: type[ModelConfig], model: Callable[[Any], Model]) -> None:
    """Make a model known under the default of its configuration's `name`. model: from such a configuration."""
    _known[config.model_fields["name"].default] = config, model


def known() -> list[str]:
    """Names of the models that can be had: those of this package, of installed ones, and those that were registered."""
    return sorted({*_BUILT_IN, *_known, *entry_points(group=GROUP).names})


def config_type(name: str) -> type[ModelConfig]:
    """What a model is configured by. Raises UnknownModel."""
    return _entry(name)[0]


def model_of(config: ModelConfig) -> Model:
    """The model that a configuration describes. Raises UnknownModel."""
    return _entry(config.name)[1](config)


def config_of(document: Mapping[str, Any]) -> ModelConfig:
    """A configuration from its JSON object. Raises UnknownModel, and pydantic.ValidationError for wrong fields."""
    return _entry(document.get("name"))[0].model_validate(document)


def _entry(name: object) -> tuple[type[ModelConfig], Callable[[Any], Model]]:
    if name not in _known and isinstance(name, str):
        if name in _BUILT_IN:
            import_module(_BUILT_IN[name])
        for installed in entry_points(group=GROUP, name=name):
            installed.load()
    if not isinstance(name, str) or name not in _known:
        raise UnknownModel(name)
    return _known[name]


def usual_label_rule(config: ModelConfig) -> str:
    """The rule for labels that rows of a data file get for a model where none is asked for."""
    return "positive:0" if model_of(config).capabilities.positives_only else "rating>=4"
