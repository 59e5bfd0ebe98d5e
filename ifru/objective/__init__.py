"""The training objective and its derivatives, by compiled loops where there are some, else by torch operators."""

from ifru.objective.protocol import (
    Bipartite,
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
    "Bipartite",
    "Capabilities",
    "Coupling",
    "GradientChange",
    "Linearised",
    "Objective",
    "Responding",
    "RowLocal",
    "SideUpdate",
]
