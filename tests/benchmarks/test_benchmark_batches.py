"""One combined batch against single requests."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from benchmarks.base import Base
from benchmarks.batches.__main__ import main
from benchmarks.batches.measure import COMBINED, SINGLE, Asked, Batches, measure
from benchmarks.batches.picture import draw
from benchmarks.batches.report import curve, markdown
from benchmarks.kept import Kept
from ifru.errors import IfruError


@pytest.fixture(scope="module")
def found(base: Base) -> Batches:
    ticks = count()
    asked = Asked("auto", (0.01, 0.3), repeats=1, seed=0)
    return measure(base, "rows:5", asked, Kept(), clock=lambda: float(next(ticks)))


def test_every_count_is_answered_both_ways_at_every_tolerance(found: Batches) -> None:
    for tolerance in (0.01, 0.3):
        for way in (COMBINED, SINGLE):
            assert [point.requests for point in curve(found, way, tolerance)] == [1, 3, 5]


def test_a_combined_batch_is_one_call_and_single_requests_are_as_many_as_there_are(found: Batches) -> None:
    assert [point.apply for point in curve(found, COMBINED, 0.01)] == [1, 1, 1]
    assert [point.apply for point in curve(found, SINGLE, 0.01)] == [1, 3, 5]
    assert [point.total for point in curve(found, SINGLE, 0.01)] == [2, 6, 10]


def test_one_request_is_the_same_either_way(found: Batches) -> None:
    assert curve(found, COMBINED, 0.01)[0].left == curve(found, SINGLE, 0.01)[0].left


def test_both_ways_end_near_the_retrained_model(found: Batches) -> None:
    for way in (COMBINED, SINGLE):
        for point in curve(found, way, 0.01):
            assert 0 <= point.left.mean < 0.1


def test_a_tighter_tolerance_leaves_less(found: Batches) -> None:
    for way in (COMBINED, SINGLE):
        for tight, loose in zip(curve(found, way, 0.01), curve(found, way, 0.3), strict=True):
            assert tight.left.mean < loose.left.mean


def test_the_table_has_a_row_for_each_count_and_tolerance(found: Batches) -> None:
    rows = [line.strip("|").split("|") for line in markdown([found]).splitlines() if line[:1] == "|"]
    counted = [row[0].strip() for row in rows]
    assert counted == ["requests", "---", "1", "3", "5"] * 2
    assert [row[5].strip() for row in rows[2:5]] == ["1", "3", "5"]


def test_a_picture_is_written(found: Batches, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "batches.png"
    draw([found, found], "title").savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_slow_answers_are_not_repeated(base: Base) -> None:
    ticks = count(step=10)
    measure(base, "rows:1", Asked("residual", (0.3,), repeats=9, seed=0), Kept(), clock=lambda: float(next(ticks)))
    asked_once_before_and_after_each_call_of_both_ways = 2 * 4
    assert next(ticks) == 10 * asked_once_before_and_after_each_call_of_both_ways


def test_settings_that_are_not_allowed_are_refused_before_anything_starts() -> None:
    with pytest.raises(IfruError, match="tolerance is 0; allowed are numbers above 0 and below 1"):
        main(data="generated", tolerance=[0.1, 0.0])
    with pytest.raises(IfruError, match="--data is 'nonesuch'; allowed are ml-100k"):
        main(data="nonesuch")
