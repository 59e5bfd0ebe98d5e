"""Training to a stationary point, deterministically."""

from ifru.training.newton import Plan, Progress, Trained, initial, minimise
from ifru.training.selection import L2_GRID, Selection, select
from ifru.training.train import PROVEN, TOLERANCES, Report, TrainedModel, fit, polish, silent, train

__all__ = [
    "L2_GRID",
    "PROVEN",
    "TOLERANCES",
    "Plan",
    "Progress",
    "Report",
    "Selection",
    "Trained",
    "TrainedModel",
    "fit",
    "initial",
    "minimise",
    "polish",
    "select",
    "silent",
    "train",
]
