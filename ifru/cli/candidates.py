"""The models that a command line asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from ifru.errors import IfruError
from ifru.interactions import Interactions
from ifru.models import ModelConfig, config_type
from ifru.models.factory import use_module
from ifru.models.ials import IALSConfig
from ifru.models.module import ModuleConfig
from ifru.training import FIRST_RANK


def candidates(
    model: str, rank: int | None, loss: str | None, grid: Sequence[float], own: Mapping[str, object]
) -> list[ModelConfig]:
    """A configuration for each λ of a grid. model: a name, or the `package.module:factory` of a module of one's own.

    rank: None for the model's own, or else the first one that is tried. loss: None for the model's own.
    own: fields that only some models have; None where nothing was given, so that the model's default holds.
    Raises IfruError for an unknown model, a factory that cannot be imported, an option that belongs to another model,
    and a value that is not allowed.
    """
    own_module = ":" in model
    if own_module:
        use_module(model)
    kind = config_type("module" if own_module else model)
    given = {name: value for name, value in own.items() if value is not None}
    if foreign := sorted(given.keys() - kind.model_fields.keys()):
        taken = ", ".join(map(_flag, sorted(kind.model_fields.keys() - ModelConfig.model_fields.keys())))
        raise IfruError(f"{_flag(foreign[0])} is no option of the model {model!r}; its own options are {taken}")
    if rank is None and kind.model_fields["rank"].is_required():
        rank = FIRST_RANK
    given |= {} if rank is None else {"rank": rank}
    if own_module:
        given |= {"factory": model, "columns": {"embedding": rank}}
    try:
        chosen = given if loss is None else {"loss": loss, **given}
        found = [kind.model_validate({"l2": l2, **chosen}) for l2 in grid]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise IfruError(f"{_flag(str(first['loc'][0]))} is {first['input']!r}: {first['msg']}") from None
    return [config.described() if isinstance(config, ModuleConfig) else config for config in found]


def in_their_units(configs: Sequence[ModelConfig], train: Interactions) -> list[ModelConfig]:
    """Candidates whose λ, meant for an interaction, counts once for a row: times the mean interactions of a row."""
    degree = train.degree[train.degree > 0]
    mean = float(degree.mean()) if len(degree) else 1.0

    def scaled(config: ModelConfig) -> ModelConfig:
        plain = isinstance(config, IALSConfig) and config.penalty == "plain"
        return config.model_copy(update={"l2": float(f"{mean * config.l2:.3g}")}) if plain else config

    return [scaled(config) for config in configs]


def _flag(field: str) -> str:
    return f"--{field.replace('_', '-')}"
