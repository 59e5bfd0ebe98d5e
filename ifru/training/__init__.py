"""Training to a stationary point, deterministically."""

from ifru.training.accuracy import PROVEN, TOLERANCES
from ifru.training.newton import Plan, Progress, Trained, initial, minimise
from ifru.training.rank import FIRST_RANK, LARGEST_RANK, Tried
from ifru.training.report import Report, silent
from ifru.training.selection import L2_GRID, Selection, select
from ifru.training.train import TrainedModel, fit, polish, train, with_damping

__all__ = [
    "FIRST_RANK",
    "L2_GRID",
    "LARGEST_RANK",
    "PROVEN",
    "TOLERANCES",
    "Plan",
    "Progress",
    "Report",
    "Selection",
    "Trained",
    "TrainedModel",
    "Tried",
    "fit",
    "initial",
    "minimise",
    "polish",
    "select",
    "silent",
    "train",
    "with_damping",
]
