"""SIGKILL while old versions are collected, in a folder and in a bucket.

`python -m tests.acceptance.kills.collecting FOLDER URL --when before during after` kills at all points.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ifru.stores.local import LocalStore
from tests.acceptance.kills.collecting import collected
from tests.acceptance.running import environment
from tests.daemon.world import World
from tests.snapshots.marked import Marks, forgotten

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of versions; a collection leaves nothing of the marked user in it."""
    folder, streams = tmp_path_factory.mktemp("versions"), tmp_path_factory.mktemp("streams")
    world = World(streams, store=LocalStore(folder))
    marks = Marks(world.store)
    forgotten(world)
    undisturbed = LocalStore(shutil.copytree(folder, streams / "undisturbed"))
    assert marks.found(undisturbed)
    collected(undisturbed)
    assert marks.found(undisturbed) == []
    return folder


def killed(versions: Path, url: str, *options: str) -> None:
    line = [sys.executable, "-m", "tests.acceptance.kills.collecting", str(versions), url, *options]
    done = subprocess.run(line, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_collection_that_is_killed_at_any_access_and_repeated_ends_as_an_undisturbed_one(
    versions: Path, tmp_path: Path
) -> None:
    killed(versions, tmp_path.as_uri())


def test_a_collection_in_a_bucket_that_is_killed_and_repeated_ends_as_an_undisturbed_one(
    versions: Path, s3_url: str
) -> None:
    killed(versions, f"{s3_url}/collecting", "--every", "11")
