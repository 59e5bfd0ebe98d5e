"""An update that takes long gives signs of life."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.objective.parameters import Parameters
from tests.engine.conftest import CONFIG, World, train_rows

Draw = Callable[[int, int], np.ndarray]


@pytest.mark.parametrize("support", ["global", "residual", "push", "k_hop", "auto"])
def test_every_step_of_an_update_is_a_beat(world: World, some_rows: Draw, support: str) -> None:
    beats: list[None] = []
    tables = Parameters.unstacked(world.theta, world.dataset.train.users)
    settings = EngineSettings.model_validate({"support": support, "tolerance": 0.05})
    engine = Engine(CONFIG, tables, world.dataset.copy(), settings, beat=lambda: beats.append(None))
    update = engine.apply(train_rows(some_rows(50, 1)))
    assert update.iterations > 3
    # Where one side is eliminated, a last half of a step has none.
    assert len(beats) >= 0.7 * update.iterations
