"""A bucket that keeps what is deleted is noticed, and named."""

from __future__ import annotations

from typer.testing import CliRunner

from ifru.cli import app
from ifru.snapshots import Store, open_store
from ifru.stores.versioned import keeps_versions
from tests.fixtures.versioned_bucket import versioned_bucket
from tests.snapshots.cases import Live, writer


def test_other_stores_keep_nothing_and_the_trial_leaves_nothing(store: Store) -> None:
    assert not keeps_versions(store, "a-name")
    assert store.list("") == []


def test_a_bucket_with_versioning_is_named_when_versions_are_collected(s3_url: str) -> None:
    url = f"{versioned_bucket()}/model"
    store = open_store(url)
    Live.new().start(writer(store))
    assert keeps_versions(store, "a-name")
    done = CliRunner().invoke(app, ["collect", url, "--older-than", "0s"])
    assert done.exit_code == 0, done.output
    assert "noncurrent versions" in done.stderr
