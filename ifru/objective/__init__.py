"""The training objective and its derivatives, by compiled loops where there are some, else by torch operators."""

from ifru.objective.protocol import (
    Bipartite,
    Capabilities,
    Common,
    Coupling,
    GradientChange,
    HavingCommon,
    Linearised,
    Objective,
    Responding,
    RowLocal,
    SideUpdate,
)

__all__ = [
    "Bipartite",
    "Capabilities",
    "Common",
    "Coupling",
    "GradientChange",
    "HavingCommon",
    "Linearised",
    "Objective",
    "Responding",
    "RowLocal",
    "SideUpdate",
]
