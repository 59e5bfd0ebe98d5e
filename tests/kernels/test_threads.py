"""Loops on several threads: each part runs once, results are in order, and do not depend on the number of cores."""

from __future__ import annotations

from threading import Event

import pytest
from numba import config

from ifru.kernels.dispatch import all_cores, on_parts, on_rows, stretches

LONG = 1 << 21


@pytest.fixture(params=[1, 2, 3])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    count: int = request.param
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", count)
    return count


def _part(c: int, factor: int) -> int:
    return c * factor


def _stretch(begin: int, end: int) -> tuple[int, int]:
    return begin, end


def test_results_of_parts_are_in_their_order(cores: int) -> None:
    assert on_parts(_part, 20, 3) == [3 * c for c in range(20)]


def test_stretches_cover_all_rows_once_and_are_the_same_on_any_number_of_cores(cores: int) -> None:
    assert on_rows(_stretch, 10, LONG) == [(0, 2), (2, 5), (5, 7), (7, 10)]
    assert on_rows(_stretch, 2, LONG) == [(0, 1), (1, 2)]


def test_a_short_loop_is_one_stretch(cores: int) -> None:
    assert on_rows(_stretch, 10, 100) == [(0, 10)]
    assert on_rows(_stretch, 0, 0) == [(0, 0)]


def test_every_loop_counts_as_long_where_that_is_asked_for(cores: int) -> None:
    with all_cores():
        assert on_rows(_stretch, 3, 1) == [(0, 1), (1, 2), (2, 3)]
    assert stretches(1) == 1


def test_what_a_part_raises_is_raised_and_later_loops_run(cores: int) -> None:
    def fail(c: int) -> None:
        if c == 3:
            raise ArithmeticError("part 3")

    with pytest.raises(ArithmeticError, match="part 3"):
        on_parts(fail, 6)
    assert on_parts(_part, 4, 1) == [0, 1, 2, 3]


def test_parts_run_at_the_same_time_on_two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 2)
    reached = [Event(), Event()]

    def meet(c: int) -> bool:
        reached[c].set()
        return reached[1 - c].wait(60)

    assert on_parts(meet, 2) == [True, True]
