"""What counts as held, and what the process takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.memory import held, peak, resident, restart_peak

MIB = 1 << 20


@dataclass
class Holder:
    array: NDArray[np.float64]
    others: list[Tensor]


def test_an_object_holds_what_it_refers_to() -> None:
    size = held(Holder(np.zeros(MIB // 8), [torch.zeros(MIB // 4), torch.zeros(MIB // 4)]))
    assert 3 * MIB <= size < 3.01 * MIB


def test_shared_memory_counts_once_and_a_view_counts_as_a_whole() -> None:
    array = np.zeros(MIB // 8)
    assert MIB <= held(Holder(array[:10], [torch.from_numpy(array), torch.from_numpy(array)[3:]])) < 1.01 * MIB


def test_the_process_takes_what_was_written_and_remembers_its_peak() -> None:
    before = resident()
    if before is None or not restart_peak():
        pytest.skip("the system does not tell what a process takes")
    array = np.ones(32 * MIB)
    during = resident()
    assert during is not None
    assert array.nbytes == 256 * MIB
    assert during - before > 128 * MIB
    del array
    after, most = resident(), peak()
    assert after is not None
    assert most is not None
    assert after < during - 128 * MIB
    assert most > during - MIB  # the kernel's own counts are some pages apart
