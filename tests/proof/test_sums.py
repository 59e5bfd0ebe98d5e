"""Sums against exact ones."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from ifru.proof.sums import total


@given(st.lists(st.floats(-1e12, 1e12), max_size=3000))
def test_a_sum_is_off_by_no_more_than_it_says(terms: list[float]) -> None:
    found = total(torch.tensor(terms, dtype=torch.float64))
    assert abs(found.value - math.fsum(terms)) <= found.error


def test_the_error_of_a_sum_does_not_grow_with_the_number_of_terms() -> None:
    random = torch.Generator().manual_seed(0)
    found = total(torch.rand(1_000_000, generator=random, dtype=torch.float64))
    assert found.error <= 1e-12 * found.value


def test_errors_of_terms_and_of_sums_add_up() -> None:
    found = total(torch.ones(3, dtype=torch.float64), torch.full((3,), 0.5, dtype=torch.float64))
    assert found.value == 3
    assert 1.5 <= found.error < 1.5001
    assert (found + found).value == 6
    assert 3 <= (found + found).error < 3.001
