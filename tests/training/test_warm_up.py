"""Compiling ahead: nothing that an update runs is left to be compiled by the first batch."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import importlib, pkgutil
import numpy as np, torch
import ifru.kernels
from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.interactions import Deletion
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.kernels.dispatch import all_cores
from ifru.models import MFConfig, model_of
from ifru.objective.parameters import Parameters
from ifru.training.newton import Plan, initial, minimise
from ifru.training.warm_up import warm_up

config, device = MFConfig(rank=20, l2=0.1), torch.device("cpu")
warm_up(config, device, (torch.float32,))
modules = [importlib.import_module(f"ifru.kernels.{each.name}") for each in pkgutil.iter_modules(ifru.kernels.__path__)]
loops = {f"{m.__name__}.{name}": loop for m in modules for name, loop in vars(m).items() if hasattr(loop, "signatures")}
data = split(generate(300, 200, 6000, seed=1), LabelRule.parse("rating>=4"), 0.2, seed=0)
objective = model_of(config).objective(data.train.copy(), device, torch.float64)
theta = minimise(objective, initial(objective, 0), Plan(tolerance=1e-3)).theta.float()
known = {name: len(loop.signatures) for name, loop in loops.items()}
for support in ("auto", "residual", "push", "k_hop", "global"):
    engine = Engine(config, Parameters.unstacked(theta, 300), data.copy(), EngineSettings(support=support), device)
    engine.apply(Deletion(np.arange(3), np.arange(0)))
    engine.settle()
    with all_cores():
        engine.apply(Deletion(np.arange(100, 110), np.arange(0)))
        engine.settle()
        engine.refine()
late = [name for name, loop in loops.items() if len(loop.signatures) != known[name]]
assert len(known) > 20, known
assert not late, late
"""


def test_after_it_no_update_compiles_or_loads_a_loop() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
