"""A package of somebody else, as pip would install it."""

from __future__ import annotations

import shutil
from pathlib import Path


def install_bent(folder: Path) -> None:
    """Put a package into a folder whose entry point is the model of `bent.py`."""
    shutil.copy(Path(__file__).with_name("bent.py"), folder / "outside.py")
    installed = folder / "outside-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[ifru.models]\nbent = outside\n")
