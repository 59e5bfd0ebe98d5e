"""Answers that are lost on the wire between the real S3 client and a real S3 store."""

from __future__ import annotations

import os
from dataclasses import replace
from uuid import uuid4

import pytest

from ifru.snapshots import CommitLost, CommitUnknown, Reader, Store, open_store
from tests.fixtures.lossy_proxy import Loss, lossy_proxy
from tests.snapshots.cases import Live, assert_same, writer

MANIFEST = "manifests/000000000002.json"
FOR_EVER = 1_000


@pytest.fixture
def url(s3_url: str) -> str:
    return f"{s3_url}/{uuid4().hex}"


def through(proxy: str, url: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", proxy)
        return open_store(url, retry_seconds=2.0)


@pytest.mark.parametrize(
    "loss",
    [
        Loss("PUT", MANIFEST, "cut"),
        Loss("PUT", MANIFEST, 500),
        Loss("PUT", MANIFEST, 409),
        Loss("PUT", MANIFEST, "cut", FOR_EVER),
        Loss("PUT", "model/", "cut"),
        Loss("PUT", "HEAD.json", "cut"),
    ],
    ids=lambda loss: f"{loss.kind} {loss.text} {loss.times}",
)
def test_a_lost_answer_does_not_lose_the_commit_or_make_a_second_one(
    url: str, loss: Loss, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, loss = Live.new(), replace(loss)
    first = live.start(writer(open_store(url)))
    with lossy_proxy(os.environ["AWS_ENDPOINT_URL"], [loss]) as proxy:
        manifest = writer(through(proxy, url, monkeypatch)).commit(first, live.erase(1))
    assert loss.seen > 0
    assert Reader(open_store(url)).load().manifest == manifest
    assert_same(Reader(open_store(url)).load(), live)


def test_a_lost_answer_does_not_hide_that_another_writer_won(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    live, late = Live.new(), Live.new()
    first = live.start(writer(open_store(url)))
    won = writer(open_store(url)).commit(first, live.erase(1))
    with (
        lossy_proxy(os.environ["AWS_ENDPOINT_URL"], [Loss("PUT", MANIFEST, "cut", FOR_EVER)]) as proxy,
        pytest.raises(CommitLost) as lost,
    ):
        writer(through(proxy, url, monkeypatch)).commit(first, late.erase(2))
    assert lost.value.attempt == won.attempt
    assert_same(Reader(open_store(url)).load(), live)


def test_where_no_answer_comes_through_any_more_the_commit_is_unknown(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Live.new()
    first = live.start(writer(open_store(url)))
    losses = [Loss(method, MANIFEST, "cut", FOR_EVER) for method in ("PUT", "GET")]
    with lossy_proxy(os.environ["AWS_ENDPOINT_URL"], losses) as proxy, pytest.raises(CommitUnknown):
        writer(through(proxy, url, monkeypatch)).commit(first, live.erase(1))
    assert all(loss.seen for loss in losses)
    assert_same(Reader(open_store(url)).load(), live)
