"""Loops on all cores: every part is run once, whatever the number of parts and of threads, and results are summed."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from ifru.kernels.cores import cores, counted_on_cores, loop, on_cores, part, share, summed_on_cores


@part()
def _double(c, parts, source, out):
    begin, end = share(c, parts, len(source))
    for k in range(begin, end):
        out[k] += 2 * source[k]


@part()
def _total(c, parts, source, scale):
    total = 0.0
    begin, end = share(c, parts, len(source))
    for k in range(begin, end):
        total += scale * source[k]
    return total


@part()
def _length(c, parts, places):
    return (c + 1) * places // parts - c * places // parts


_PATIENCE = 1 << 34


@part()
def _wait_for(c, parts, told, turns):
    while told[0] == 0 and turns[0] < _PATIENCE:
        turns[0] += 1


@loop()
def _run(parts, source, out):
    on_cores(_double, parts, (source, out))
    return summed_on_cores(_total, parts, (source, 0.5)), counted_on_cores(_length, parts, (len(source),))


@loop()
def _parts(places):
    return cores(places)


@loop()
def _wait(told, turns):
    on_cores(_wait_for, 1, (told, turns))


@pytest.mark.parametrize("parts", [0, 1, 2, 3, 1000])
def test_each_place_is_worked_on_once_and_results_are_summed(parts: int) -> None:
    source, out = np.arange(257.0), np.zeros(257)
    total, places = _run(parts, source, out)
    np.testing.assert_array_equal(out, 2 * source)
    assert total == source.sum() / 2
    assert places == 257


def test_there_are_no_more_parts_than_places_and_always_one() -> None:
    assert _parts(0) == 1
    assert _parts(1) == 1
    assert 1 <= _parts(2) <= 2


def test_other_threads_of_python_run_meanwhile() -> None:
    told, turns = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    waiting = threading.Thread(target=_wait, args=(told, turns))
    waiting.start()
    while turns[0] == 0:
        pass
    told[0] = 1
    waiting.join()
    assert turns[0] < _PATIENCE
