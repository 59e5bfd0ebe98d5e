"""Many seeded worlds. `python -m tests.simulation` plays any number of them, or one again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.corrections import check_corrections
from tests.simulation.promises import check
from tests.simulation.purges import check_purges
from tests.simulation.retraining import check_candidates
from tests.simulation.world import World

SEEDS = 150


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_lost_done_twice_torn_or_contradicted(seed: int, tmp_path: Path) -> None:
    world = World(seed, tmp_path)
    world.play()
    check(world)
    check_purges(world)
    check_candidates(world)
    check_corrections(world)
