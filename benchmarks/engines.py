"""The engine under measurement."""

from __future__ import annotations

from typing import get_args

from pydantic import ValidationError

from benchmarks.base import Base
from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.errors import IfruError

SUPPORTS: tuple[str, ...] = get_args(EngineSettings.model_fields["support"].annotation)
"""What the engine's setting `support` may be."""


def settings(support: str, tolerance: float) -> EngineSettings:
    """The engine's settings, all others as they are by default. Raises IfruError for what is not allowed."""
    if support not in SUPPORTS:
        raise IfruError(f"support is {support!r}; allowed are {', '.join(SUPPORTS)}")
    try:
        return EngineSettings.model_validate({"support": support, "tolerance": tolerance})
    except ValidationError as error:
        raise IfruError(f"tolerance is {tolerance:g}; allowed are numbers above 0 and below 1") from error


def ready(base: Base, asked: EngineSettings) -> Engine:
    """An engine on the base model, in float32, that waits for deletions."""
    return Engine(base.config, base.parameters(base.theta.float()), base.dataset.copy(), asked)
