"""The models that a command line asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from ifru.errors import IfruError
from ifru.models import ModelConfig, config_type
from ifru.training import FIRST_RANK


def candidates(
    model: str, rank: int | None, loss: str | None, grid: Sequence[float], own: Mapping[str, object]
) -> list[ModelConfig]:
    """A configuration for each λ of a grid.

    rank: None for the model's own, or else the first one that is tried. loss: None for the model's own.
    own: fields that only some models have; None where nothing was given, so that the model's default holds.
    Raises IfruError for an unknown model, an option that belongs to another model, and a value that is not allowed.
    """
    kind = config_type(model)
    given = {name: value for name, value in own.items() if value is not None}
    if foreign := sorted(given.keys() - kind.model_fields.keys()):
        taken = ", ".join(map(_flag, sorted(kind.model_fields.keys() - ModelConfig.model_fields.keys())))
        raise IfruError(f"{_flag(foreign[0])} is no option of the model {model!r}; its own options are {taken}")
    if rank is None and kind.model_fields["rank"].is_required():
        rank = FIRST_RANK
    given |= {} if rank is None else {"rank": rank}
    try:
        chosen = given if loss is None else {"loss": loss, **given}
        return [kind.model_validate({"l2": l2, **chosen}) for l2 in grid]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise IfruError(f"{_flag(str(first['loc'][0]))} is {first['input']!r}: {first['msg']}") from None


def _flag(field: str) -> str:
    return f"--{field.replace('_', '-')}"
