"""Every fallback that another device would take, forced on the CPU: the engine does the same without compiled loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from ifru.kernels.dispatch import torch_only
from tests.engine.conftest import World, train_rows

Draw = Callable[[int, int], np.ndarray]


@pytest.mark.parametrize("cache_bytes", [1 << 30, 40 * 12 * 12 * 8])
@pytest.mark.parametrize("support", ["auto", "residual", "push", "k_hop", "global"])
def test_updates_are_those_of_the_compiled_loops(world: World, some_rows: Draw, support: str, cache_bytes: int) -> None:
    settings = {"support": support, "tolerance": 0.1, "cache_bytes": cache_bytes, "k_hop_share": 0.2}
    compiled = world.engine(torch.float64, **settings)
    with torch_only():
        plain = world.engine(torch.float64, **settings)
    for seed in range(3):
        rows = some_rows(5, seed)
        ours = compiled.apply(train_rows(rows))
        settled = compiled.settle()
        with torch_only():
            theirs = plain.apply(train_rows(rows))
            same = plain.settle()
        assert (ours.method, ours.reason) == (theirs.method, theirs.reason)
        assert ours.influence == pytest.approx(theirs.influence, rel=1e-6)
        assert settled.influence == pytest.approx(same.influence, rel=1e-6)
    torch.testing.assert_close(compiled.state.point.theta, plain.state.point.theta, rtol=0, atol=1e-7)
    torch.testing.assert_close(compiled.state.point.gradient, plain.state.point.gradient, rtol=0, atol=1e-7)
    # Conjugate gradients forget where they came from: solves of a hundred products end next to each other, not at one.
    compiled.refine()
    with torch_only():
        plain.refine()
    torch.testing.assert_close(compiled.state.point.theta, plain.state.point.theta, rtol=0, atol=1e-4)
