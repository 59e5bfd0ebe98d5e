"""The first example runs as it stands, on generated data and on a file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from examples.one_update import main
from ifru.errors import DataError
from ifru.interactions.generated import generate


@pytest.mark.parametrize("from_a_file", [False, True])
def test_it_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str], from_a_file: bool) -> None:
    main([str(ratings(tmp_path / "ratings.csv"))] if from_a_file else [])
    trained, forgot, retrained, proven = capsys.readouterr().out.splitlines()
    assert trained.endswith("proven optimal.")
    assert forgot.startswith("Forgot user ")
    assert "the update left " in retrained
    assert proven.startswith("Proven without retraining: ")


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match=r"missing\.csv"):
        main(["missing.csv"])


def ratings(path: Path) -> Path:
    found = generate(users=60, items=50, interactions=700, seed=0)
    assert found.value is not None
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["user", "item", "rating"])
        for user, item, rating in zip(found.user, found.item, found.value, strict=True):
            out.writerow([found.users[user], found.items[item], int(rating)])
    return path
