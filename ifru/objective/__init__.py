"""The training objective and its derivatives, by compiled loops where there are some, else by torch operators."""

from ifru.objective.protocol import (
    Capabilities,
    Coupling,
    GradientChange,
    Linearised,
    Objective,
    Responding,
    RowLocal,
    SideUpdate,
)

__all__ = [
    "Capabilities",
    "Coupling",
    "GradientChange",
    "Linearised",
    "Objective",
    "Responding",
    "RowLocal",
    "SideUpdate",
]
