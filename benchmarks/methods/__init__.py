"""All methods of forgetting, side by side: what each leaves, and how long it takes."""

from __future__ import annotations

from benchmarks.methods import (
    engine,
    ifru_solver,
    practised,
    scratch,
    sharded,
    sweeps,
    touched,
    warm_lbfgs,
    warm_newton,
)
from benchmarks.methods.protocol import Budget, Method, Point

__all__ = ["METHODS", "Budget", "Method", "Point"]

METHODS: dict[str, Method] = {
    "engine": engine.run,
    "touched": touched.run,
    "warm-sweeps": sweeps.run,
    "warm-newton": warm_newton.run,
    "warm-lbfgs": warm_lbfgs.run,
    "scratch": scratch.run,
    "practised": practised.run,
    "ifru-solver": ifru_solver.run,
    "sisa": sharded.sisa,
    "receraser": sharded.receraser,
}
"""By the name that `--method` takes."""
