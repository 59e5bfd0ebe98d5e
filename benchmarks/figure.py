"""Empty pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ifru.errors import IfruError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOWEST = 1e-5
"""Smaller figures, zero among them, are drawn here where a scale is logarithmic."""


def panels(title: str, rows: int, columns: int, width: float, height: float) -> tuple[Figure, NDArray[np.object_]]:
    """A picture, in inches, and its panels [rows, columns], each with a grid.

    Raises IfruError where Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise IfruError("the plot needs Matplotlib; install it with pip install 'ifru[bench]'") from error
    made = Figure(figsize=(width, height), layout="constrained")
    made.suptitle(title)
    found: Any = made.subplots(rows, columns, squeeze=False)
    for panel in found.flat:
        panel.grid(visible=True, which="major", alpha=0.3)
    return made, found
