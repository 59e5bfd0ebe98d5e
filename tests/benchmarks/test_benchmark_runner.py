"""One command line for all benchmarks."""

from __future__ import annotations

import json
import subprocess
import sys
from inspect import signature
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.figure import panels
from benchmarks.runner import Result, Run, RunOnData, benchmark
from ifru.errors import IfruError


def result(run: Run, found: int) -> Result:
    return Result(
        "title", {"some_fact": 7}, "| text |", {"found": found, "seed": run.seed}, panels("title", 1, 1, 2, 2)[0]
    )


@benchmark("counted.png")
def counted(run: Run, count: Annotated[int, typer.Option(min=1)] = 2) -> Result:
    """Counts."""
    return result(run, count)


@benchmark("read.png")
def read(run: RunOnData, count: int = 2) -> Result:
    """Reads."""
    run.base()
    return result(run, count)


def test_shared_options_stand_around_a_benchmarks_own() -> None:
    always = ["threads", "seed", "keep", "plot", "quick", "json"]
    assert list(signature(counted).parameters) == ["count", *always]
    assert list(signature(read).parameters) == ["data", "folder", "count", *always]
    assert signature(read).parameters["plot"].default == Path("read.png")


def test_a_result_is_printed_under_its_title_and_facts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counted(plot=tmp_path / "some.png")
    assert capsys.readouterr().out == "# title\n\n- some fact: 7\n\n| text |\n"
    assert (tmp_path / "some.png").exists()


def test_options_are_read_from_the_command_line(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(counted)
    told = CliRunner().invoke(app, ["--count", "3", "--seed", "5", "--json", "--plot", str(tmp_path / "some.png")])
    assert json.loads(told.stdout) == {"found": 3, "seed": 5}
    assert CliRunner().invoke(app, ["--count", "0"]).exit_code == 2


def test_data_that_are_not_known_are_refused_before_anything_starts() -> None:
    with pytest.raises(IfruError, match="--data is 'nonesuch'; allowed are ml-100k"):
        read(data="nonesuch")


def test_a_command_that_cannot_go_on_says_so_in_a_line_and_ends_with_2() -> None:
    command = [sys.executable, "-m", "benchmarks.batches", "--data", "nonesuch"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("--data is 'nonesuch'; allowed are ml-100k")
