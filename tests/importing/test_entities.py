"""Which entity a row of an imported table belongs to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ifru.errors import DataError
from ifru.importing import read_ids, renumbered
from ifru.interactions.loading import Recorded


def test_ids_are_the_lines_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("a\n007\nü\n", "utf-8")
    assert read_ids(path, 3) == ["a", "007", "ü"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a\nb\n", "has 2 lines, the table has 3 rows"),
        (b"a\n\nb\n", "line 2 is empty"),
        (b"a\nb\na\n", "lines 1 and 3 hold the same id"),
        (b"\xff\n\n\n", "UTF-8"),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_ids(path, 3)


RECORDED = Recorded(
    user=np.array([0, 1, 0], np.int32),
    item=np.array([0, 0, 1], np.int32),
    value=None,
    time=None,
    users=["x", "y"],
    items=["b", "a"],
)


def test_recorded_rows_take_the_numbers_of_the_model() -> None:
    found = renumbered(RECORDED, ["y", "z", "x"], ["a", "b"], Path("data.csv"))
    assert found.user.tolist() == [2, 0, 2]
    assert found.item.tolist() == [1, 1, 0]
    assert found.users == ["y", "z", "x"]


def test_data_with_an_entity_that_the_model_has_no_row_for_is_refused() -> None:
    with pytest.raises(DataError, match="1 of 2 user ids are not among the 2"):
        renumbered(RECORDED, ["y", "z"], ["a", "b"], Path("data.csv"))
