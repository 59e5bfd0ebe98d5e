"""Which precision does what on the way to a model."""

from __future__ import annotations

import torch

from ifru.training.accuracy import LARGE, TOLERANCES, precision, solving


def test_large_data_are_computed_in_float32_down_to_what_it_reaches_and_solved_in_it_throughout() -> None:
    assert precision(1e-3, torch.float64, LARGE) == torch.float32
    assert precision(TOLERANCES[torch.float32], torch.float64, LARGE) == torch.float32
    assert precision(TOLERANCES[torch.float64], torch.float64, LARGE) == torch.float64
    assert solving(torch.float64, LARGE) == torch.float32


def test_small_data_need_the_loops_of_one_precision_alone() -> None:
    assert precision(1e-3, torch.float64, LARGE - 1) == solving(torch.float64, LARGE - 1) == torch.float64
    assert precision(1e-8, torch.float32, LARGE) == torch.float32
