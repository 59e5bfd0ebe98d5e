"""`ifru compile`: what it says, and that nothing is left to be compiled after it."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from ifru.cli import app


def test_what_was_compiled_ahead_is_loaded_from_then_on() -> None:
    command = ["compile", "--dtype", "float64", "--json", "--jobs", "1"]
    runner = CliRunner()
    assert runner.invoke(app, command).exit_code == 0
    done = runner.invoke(app, command)
    (found,) = json.loads(done.stdout)["precisions"]
    assert found["precision"] == "float64"
    assert found["compiled"] == 0
    assert found["loaded"] > 20
