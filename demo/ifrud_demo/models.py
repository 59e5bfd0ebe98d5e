"""What each kind of model is trained with where nothing is asked for: it suits MovieLens-100K."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from ifru.errors import IfruError
from ifru.models import ModelConfig, config_type
from ifru.models.registry import usual_label_rule

_ALL: Mapping[str, object] = {"rank": 16, "l2": 0.1}
_BY_MINI_BATCHES: Mapping[str, object] = {"l2": 0.05, "practice": {"batch": 2048, "step": 0.005, "epochs": 12}}
_OF: Mapping[str, Mapping[str, object]] = {
    "deepfm": _BY_MINI_BATCHES,
    # λ counts once for a user or item, and not for each of its rows.
    "ials": {"l2": 22.0},
    "lightgcn": {"l2": 0.05},
    "neumf": _BY_MINI_BATCHES,
    "two-tower": _BY_MINI_BATCHES,
}
"""Model -> what suits it better than what suits all."""

_OF_LOSS: Mapping[str, Mapping[str, object]] = {"bpr": {"l2": 0.1}}
"""Loss -> what suits it with every model."""


def configured(name: str, rank: int | None, l2: float | None, loss: str | None = None) -> ModelConfig:
    """The configuration of a model; None where nothing was asked for. Raises IfruError for what cannot be had."""
    wanted = {"rank": rank, "l2": l2, "loss": loss}
    asked = {field: value for field, value in wanted.items() if value is not None}
    kind = config_type(name)
    try:
        return kind.model_validate({**_ALL, **_OF.get(name, {}), **_OF_LOSS.get(loss or "", {}), **asked})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise IfruError(f"--model {name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def suited(config: ModelConfig) -> str:
    """The rule for labels that a model and its loss need."""
    if config.loss == "bpr":
        return "positive:1"
    return usual_label_rule(config)
