"""One trained model for all acceptance tests; each test gets its own copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ifru.snapshots import open_store
from tests.acceptance.running import Places, run, write_ratings
from tests.fixtures.kafka import Kafka


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with version 1, made by `ifru train`."""
    folder = tmp_path_factory.mktemp("trained")
    write_ratings(folder / "ratings.csv")
    store = folder / "store"
    done = run("ifru", "train", str(folder / "ratings.csv"), "--out", store.as_uri(), "--rank", "8", "--l2", "0.1")
    assert done.returncode == 0, done.stderr
    return store


@pytest.fixture
def store(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "store"))


@pytest.fixture
def bucket(store: Path, s3_url: str, tmp_path: Path) -> str:
    """A copy of the trained store."""
    url = f"{s3_url}/{tmp_path.name}"
    source, target = open_store(store.as_uri()), open_store(url)
    for path in source.list(""):
        target.put(path, source.get(path))
    return url


@pytest.fixture
def file_places(store: Path, tmp_path: Path) -> Places:
    urls = ((tmp_path / f"{name}.jsonl").as_uri() for name in ("events", "receipts", "dead"))
    return Places(store, *urls)


@pytest.fixture
def kafka_places(store: Path, kafka: Kafka) -> Places:
    """Events in three partitions."""
    return Places(store, kafka.url(kafka.topic(3)), kafka.url(kafka.topic()), kafka.url(kafka.topic()))
