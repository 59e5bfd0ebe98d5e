"""Requests one at a time."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from benchmarks.base import Base
from benchmarks.engines import settings
from benchmarks.kept import Kept
from benchmarks.requests import counts, requests
from benchmarks.stream.__main__ import main
from benchmarks.stream.measure import Asked, Stream, measure
from benchmarks.stream.picture import draw
from benchmarks.stream.report import markdown
from ifru.errors import IfruError
from ifru.interactions import Deletion


@pytest.fixture(scope="module")
def stream(base: Base) -> Stream:
    ticks = count()
    asked = Asked(settings("auto", 0.01), orders=2, idle=3, seed=0)
    return measure(base, "rows:12", asked, Kept(), clock=lambda: float(next(ticks)))


def test_every_order_is_marked_at_every_step(stream: Stream) -> None:
    assert [(course.order, course.idle) for course in stream.courses] == [(0, None), (1, None), (0, 3), (1, 3)]
    for course in stream.courses:
        assert [mark.requests for mark in course.marks] == [1, 10, 12]


def test_each_call_is_timed_alone(stream: Stream) -> None:
    for course in stream.courses:
        assert [mark.apply for mark in course.marks] == [(1.0,), (1.0,) * 9, (1.0,) * 2]
        assert [len(mark.settle) for mark in course.marks] == [1, 9, 2]


def test_a_mark_comes_before_the_refinement_that_follows_it(stream: Stream) -> None:
    never, refining = stream.courses[0], stream.courses[2]
    assert [len(mark.refine) for mark in never.marks] == [0, 0, 0]
    assert [len(mark.refine) for mark in refining.marks] == [0, 3, 0]
    assert never.marks[0].left == refining.marks[0].left


def test_little_is_left_at_every_step_of_every_order(stream: Stream) -> None:
    for course in stream.courses:
        for mark in course.marks:
            assert mark.left.forgotten is not None
            assert mark.left.holdout is not None
            assert mark.left.forgotten < 0.05
            assert mark.left.holdout < 0.1
            assert mark.influence <= 0.01


def test_orders_differ_on_the_way(stream: Stream) -> None:
    first, second = (course.marks[0].left.forgotten for course in stream.courses[:2])
    assert first != second


def test_two_trainings_from_scratch_differ_by_next_to_nothing_where_the_optimum_is_proven(
    base: Base, stream: Stream
) -> None:
    assert base.relative_gap < 1e-8
    assert stream.floor.forgotten is not None
    assert 0 < stream.floor.forgotten < 1e-3


def test_the_engine_holds_the_same_from_first_to_last(stream: Stream) -> None:
    for course in stream.courses:
        assert course.marks[-1].held == pytest.approx(course.marks[0].held, rel=0.01)


def test_the_table_has_a_row_for_each_step_with_and_without_refinement(stream: Stream) -> None:
    text = markdown([stream])
    assert text.startswith("## 12 random interactions, one at a time: 12 training rows")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert [(row[0], row[1]) for row in rows[2:]] == [
        *(("never refines", step) for step in ("1", "10", "12")),
        *(("refines after every 3", step) for step in ("1", "10", "12")),
        ("two trainings from scratch", "12"),
    ]
    assert {len(row) for row in rows} == {10}


def test_batches_in_a_row_are_the_same_requests_in_fewer_answers(base: Base, stream: Stream) -> None:
    ticks = count()
    asked = Asked(settings("auto", 0.01), orders=1, idle=2, seed=0, batch=4)
    batches = measure(base, "rows:12", asked, Kept(), clock=lambda: float(next(ticks)))
    assert batches.deleted == stream.deleted
    for course in batches.courses:
        assert [mark.requests for mark in course.marks] == [1, 3]
        assert course.marks[-1].left.holdout < 0.1


def test_the_report_says_whether_the_last_requests_take_longer_than_the_first(stream: Stream) -> None:
    said = markdown([stream])
    assert "Never refines: the last 10 take 1.00 times as long as the first 10." in said
    assert "Refines after every 3: the last 10 take 1.00 times as long as the first 10." in said


def test_a_picture_is_written(stream: Stream, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "stream.png"
    draw([stream, stream], "title").savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_requests_together_are_their_case(base: Base) -> None:
    rows, users = requests("rows:9", base, 0), requests("users:4", base, 0)
    assert len(Deletion.union(rows).train) == len(rows) == 9
    whole = Deletion.union(users)
    assert len(users) == 4
    assert len(whole.holdout) > 0
    assert sum(len(user) for user in users) == len(whole)


def test_other_cases_are_no_series_of_requests(base: Base) -> None:
    with pytest.raises(IfruError, match="case 'items:3' is no series of requests; allowed are rows:N and users:N"):
        requests("items:3", base, 0)


def test_counts_end_with_the_whole() -> None:
    assert counts(30, (1, 10, 100)) == [1, 10, 30]
    assert counts(10, (1, 10, 100)) == [1, 10]
    assert counts(1, (1, 10, 100)) == [1]


def test_settings_that_are_not_allowed_are_refused_before_anything_starts() -> None:
    with pytest.raises(IfruError, match="tolerance is 2; allowed are numbers above 0 and below 1"):
        main(data="generated", tolerance=2)
    with pytest.raises(IfruError, match="support is 'magic'; allowed are auto"):
        main(data="generated", support="magic")
