"""The path of a request: what is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.request_path import asked, draw, generated, main, markdown, measure
from benchmarks.runner import Run


def test_the_data_have_a_negative_for_each_recorded_pair_in_both_parts() -> None:
    dataset = generated(3000, seed=1)
    for table in (dataset.train, dataset.holdout):
        assert int(table.recorded.sum()) == len(table) // 2 > 0
    assert 2500 < len(dataset.train) <= 3000


def test_as_many_different_interactions_are_asked_for_as_there_may_be() -> None:
    dataset = generated(2000, seed=1)
    assert len({event.payload for event in asked(dataset, 50, seed=1)}) == 50
    assert len(asked(dataset, 10_000, seed=1)) == int(dataset.train.recorded.sum())


def test_every_stage_of_each_size_is_measured_and_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    points = measure(2000, (1, 30), 0, Run().report, events=60)
    assert [(point.rows, point.batch) for point in points] == [(2000, 1), (2000, 30)]
    assert all(np.array([point.decode, point.recognise, point.resolve, point.receipts]).min() >= 0 for point in points)
    assert len(markdown(points).splitlines()) == 4
    draw(points).savefig(tmp_path / "plot.png")


def test_it_runs_as_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(rows=[1000], batch=[500], plot=tmp_path / "some.png")
    assert capsys.readouterr().out.startswith("# The path of a request\n\n- events: 20000\n")
