"""What the compose stack trains its base version on."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.deploy.deployed import DEPLOY

IFRU = '#!/bin/sh\n[ "$1" = train ] || exit 1\necho "$@"\nhead -n 1 "$2"\n'


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    path = tmp_path / "own" / "mine.parquet"
    path.parent.mkdir()
    path.write_text("my own\n")
    return path


def base(folder: Path, data: Path | None, named: str) -> subprocess.CompletedProcess[str]:
    """The script, with an `ifru` and a `python` that say what they are asked for."""
    programs, temporary = folder / "programs", folder / "tmp"
    for each in (programs, temporary):
        each.mkdir()
    for name, text in (("ifru", IFRU), ("python", "#!/bin/sh\necho generated\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "TMPDIR": str(temporary),
        "STORE": "s3://ifru/model",
        "TRAIN": "--l2 0.1",
        "DATA": str(data or folder / "nothing"),
        "RATINGS": named,
    }
    script = ["sh", str(DEPLOY / "compose" / "base.sh")]
    return subprocess.run(script, env=environment, capture_output=True, text=True, check=False)


def test_a_file_is_trained_on_and_keeps_its_ending(tmp_path: Path, ratings: Path) -> None:
    done = base(tmp_path, ratings, "/home/me/mine.parquet")
    assert done.returncode == 0, done.stderr
    command, content = done.stdout.splitlines()
    assert command == f"train {tmp_path}/tmp/mine.parquet --out s3://ifru/model --l2 0.1"
    assert content == "my own"


def test_a_folder_is_looked_into(tmp_path: Path, ratings: Path) -> None:
    ratings.rename(ratings.with_name("ratings.csv"))
    done = base(tmp_path, ratings.parent, "/home/me/own")
    assert done.stdout.splitlines()[1] == "my own"


def test_ratings_are_generated_where_none_are_named(tmp_path: Path) -> None:
    done = base(tmp_path, None, "")
    assert done.stdout.splitlines()[0] == "IFRU_RATINGS is not set: the ratings are generated"
    assert done.stdout.splitlines()[2] == "generated"


def test_ratings_that_are_named_and_not_there_are_an_error(tmp_path: Path, ratings: Path) -> None:
    done = base(tmp_path, ratings.parent, "/home/me/own")
    assert (done.returncode, done.stdout) == (2, "")
    assert "IFRU_RATINGS is /home/me/own, which is neither a file nor" in done.stderr


def test_the_script_is_given_what_is_named_and_what_is_mounted() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert "RATINGS: ${IFRU_RATINGS:-}\n" in text
    assert "- ${IFRU_RATINGS:-./compose}:/data:ro\n" in text
