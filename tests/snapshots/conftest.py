"""The stores that every promise is tested on."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest

from ifru.snapshots import Store, open_store
from tests.snapshots.cases import another_store

OTHERS = {scheme: url for scheme in ("az", "gs") if (url := os.environ.get(f"{scheme.upper()}_TEST_URL"))}
"""Buckets of other kinds, where the environment names one: AZ_TEST_URL=az://container/prefix, GS_TEST_URL."""


@pytest.fixture(params=["file", "memory", "s3", *OTHERS])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "file":
            return f"file://{tmp_path}/a folder/store".replace(" ", "%20")
        case "memory":
            return f"memory://{uuid4().hex}"
        case "s3":
            return f"{request.getfixturevalue('s3_url')}/{uuid4().hex}"
        case other:
            return f"{OTHERS[other].rstrip('/')}/{uuid4().hex}"


@pytest.fixture
def store(store_url: str) -> Store:
    """An empty store of each kind."""
    return open_store(store_url)


@pytest.fixture
def memory() -> Store:
    """An empty store for what does not depend on the kind."""
    return another_store()
