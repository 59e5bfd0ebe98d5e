"""Requests that are remembered: what is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.remembered import REPLAYS, Point, draw, main, markdown, measure
from benchmarks.runner import Run
from ifru.snapshots.answered import SEGMENT_REQUESTS


@pytest.fixture(scope="module")
def point() -> Point:
    return measure(SEGMENT_REQUESTS + REPLAYS, 3, 0, Run().report)


def test_as_many_are_remembered_as_were_asked_for_and_all_that_are_sent_again_are_known(point: Point) -> None:
    assert (point.requests, point.segments) == (SEGMENT_REQUESTS + REPLAYS, 2)
    assert point.versions == -(-point.requests // 3)


def test_the_index_is_what_the_columns_take(point: Point) -> None:
    # 16 bytes each, and a third of what a version takes.
    assert 18 * point.requests < point.index < 21 * point.requests
    assert point.stored < 26 * point.requests


def test_a_row_says_what_so_many_take(point: Point) -> None:
    (row,) = [line for line in markdown([point]).splitlines() if line.startswith(f"| {point.requests:,} ")]
    assert "| 2, " in row


def test_a_picture_is_written(point: Point, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "plot.png"
    draw([point]).savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_it_runs_as_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(size=[REPLAYS], plot=tmp_path / "some.png")
    assert capsys.readouterr().out.startswith("# Requests that are remembered\n\n- requests in a version: 10\n")
