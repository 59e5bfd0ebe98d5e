"""The training objective and its derivatives, by compiled loops where there are some, else by torch operators."""

from ifru.objective.compiled import CompiledObjective
from ifru.objective.protocol import Advance, Capabilities, Coupling, Objective, Slopes, Spread
from ifru.objective.torch_path import TorchObjective

__all__ = [
    "Advance",
    "Capabilities",
    "CompiledObjective",
    "Coupling",
    "Objective",
    "Slopes",
    "Spread",
    "TorchObjective",
]
