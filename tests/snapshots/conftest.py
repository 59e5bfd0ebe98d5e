"""The stores that every promise is tested on."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from ifru.snapshots import Store, open_store
from tests.snapshots.cases import another_store


@pytest.fixture(params=["file", "memory", "s3"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "file":
            return f"file://{tmp_path}/a folder/store".replace(" ", "%20")
        case "memory":
            return f"memory://{uuid4().hex}"
        case _:
            return f"{request.getfixturevalue('s3_url')}/{uuid4().hex}"


@pytest.fixture
def store(store_url: str) -> Store:
    """An empty store of each kind."""
    return open_store(store_url)


@pytest.fixture
def memory() -> Store:
    """An empty store for what does not depend on the kind."""
    return another_store()
