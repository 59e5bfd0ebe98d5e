"""Why something ended: a linear solve, a descent, a push, an update."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """TOLERANCE, STATIONARY: it is as exact as was asked for. NOTHING_TO_MOVE: it was so from the start.

    ROUNDING: no step gains anything that can be told from rounding. NEGATIVE_CURVATURE, RADIUS: a linear solve met a
    direction in which the quadratic model has no minimum, or the bound on its step. STALLED: it does not come down any
    more. STOPPED: it was told to end.
    The others name what was used up.
    """

    TOLERANCE = "tolerance"
    STATIONARY = "stationary"
    NOTHING_TO_MOVE = "nothing_to_move"
    ROUNDING = "rounding"
    NEGATIVE_CURVATURE = "negative_curvature"
    RADIUS = "radius"
    STALLED = "stalled"
    STOPPED = "stopped"
    ITERATIONS = "iterations"
    STEPS = "steps"
    EPOCHS = "epochs"
    ROWS = "rows"
    INTERACTIONS = "interactions"
    MILLISECONDS = "milliseconds"
    ROUNDS = "rounds"
