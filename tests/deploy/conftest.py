"""What all tests of the deployment share."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def only_the_files_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of a daemon that somebody runs here are none of these files'."""
    for name in [name for name in os.environ if name.startswith("IFRUD_")]:
        monkeypatch.delenv(name)
