"""The example that takes over a model of implicit runs as it stands, and on files."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.from_implicit import main, trained
from ifru.errors import DataError


@pytest.mark.parametrize("from_files", [False, True])
def test_it_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str], from_files: bool) -> None:
    main([str(file) for file in trained(tmp_path)] if from_files else [])
    took, forgot, moved = capsys.readouterr().out.splitlines()
    assert took.endswith("200 users and 150 items, rank 16, as they are.")
    assert forgot.startswith("Forgot user ")
    assert "still owed" in moved


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    files = [str(file) for file in trained(tmp_path)]
    with pytest.raises(DataError, match=r"data\.csv: cannot be read as a model"):
        main([files[1], *files[1:]])
