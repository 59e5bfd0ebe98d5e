"""Compiled loops are kept for later processes, and those that are carried in another folder are used as well."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import numpy as np
from ifru.kernels.vectors import dot

assert dot(np.ones(3), np.ones(3), True) == 3
print(sum(dot.stats.cache_misses.values()), sum(dot.stats.cache_hits.values()))
"""


def _compiled_and_loaded(folder: Path, carried: Path | None = None) -> str:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
    if carried is not None:
        environment["IFRU_COMPILED"] = str(carried)
    command = [sys.executable, "-c", _PROGRAM]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_a_loop_is_compiled_once_and_a_folder_that_is_carried_is_read_and_not_written(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    assert _compiled_and_loaded(own) == "1 0"
    assert _compiled_and_loaded(own) == "0 1"
    before = sorted(own.rglob("*"))
    assert _compiled_and_loaded(other, carried=own) == "0 1"
    assert sorted(own.rglob("*")) == before
    assert not list(other.rglob("*.nbc"))
