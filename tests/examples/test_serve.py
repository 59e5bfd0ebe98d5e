"""The serving example on a real store: what it recommends, and how it changes versions while it serves."""

from __future__ import annotations

from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from examples.serve import Newest, create_app
from ifru.snapshots import Manifest, Reader, Store, Writer, open_store
from tests.fixtures.failing_store import FailingStore, Fault
from tests.snapshots.cases import Live, writer


class Steps:
    """Stands in for sleeping: the watching thread waits here, for good, unless it is told to look again."""

    def __init__(self) -> None:
        self._waiting, self._told = Queue[None](), Queue[None]()

    def __call__(self, seconds: float) -> None:
        self._waiting.put(None)
        self._told.get()

    def looked(self) -> None:
        """Returns once the thread has looked and waits."""
        self._waiting.get(timeout=60)

    def look(self) -> None:
        """Has the thread look once more."""
        self._told.put(None)
        self.looked()


class Serving:
    """A model with its writer, and the example that serves it from the same store."""

    def __init__(self, store: Store, read_through: Store) -> None:
        self.live: Live = Live.new()
        self.writer: Writer = writer(store)
        self.manifest: Manifest = self.live.start(self.writer)
        self.steps = Steps()
        self.client = TestClient(create_app(Newest(Reader(read_through), self.steps)))
        self.steps.looked()

    def erase(self, user: int) -> None:
        """Publish the next version, without a user."""
        self.manifest = self.writer.commit(self.manifest, self.live.erase(user))

    def get(self, path: str) -> Any:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path.as_uri())


@pytest.fixture
def serving(store: Store) -> Serving:
    return Serving(store, store)


def plainly(live: Live, user: int) -> list[tuple[str, float]]:
    """Items that a user does not have, the best first, with their scores, of a model with biases."""
    row, train = live.tables.user[user], live.dataset.train
    own = {int(z) for part in (train, live.dataset.holdout) for z in part.item[recorded(part, user)]}
    scored = [
        (f"item {item}", float(row[:-1] @ live.tables.item[item, :-1] + row[-1] + live.tables.item[item, -1]))
        for item in range(train.items)
        if item not in own and train.item_degree[item] > 0
    ]
    return sorted(scored, key=lambda each: -each[1])


def recorded(part: Any, user: int) -> np.ndarray:
    return np.flatnonzero(part.alive & (part.user == user) & (part.origin == np.arange(len(part))))


@pytest.mark.parametrize("user", range(4))
def test_the_best_items_that_a_user_does_not_have_are_recommended(serving: Serving, user: int) -> None:
    expected = plainly(serving.live, user)
    said = serving.get(f"/recommend/user {user}?k=100")
    assert said["version"] == 1
    assert [each["item"] for each in said["items"]] == [item for item, _ in expected]
    assert [each["score"] for each in said["items"]] == pytest.approx([score for _, score in expected], abs=1e-5)
    assert serving.get(f"/recommend/user {user}?k=1")["items"] == said["items"][:1]


def test_a_new_version_is_served_without_a_restart(serving: Serving) -> None:
    before = serving.get("/recommend/user 1?k=100")
    serving.erase(0)
    assert serving.get("/version")["version"] == 1
    serving.steps.look()
    assert serving.get("/version")["version"] == 2
    after = serving.get("/recommend/user 1?k=100")
    assert (before["version"], after["version"]) == (1, 2)
    assert [each["score"] for each in before["items"]] != [each["score"] for each in after["items"]]


def test_a_forgotten_user_is_unknown(serving: Serving) -> None:
    assert serving.client.get("/recommend/user 0").status_code == 200
    serving.erase(0)
    serving.steps.look()
    assert serving.client.get("/recommend/user 0").status_code == 404
    assert serving.client.get("/recommend/nobody").status_code == 404


@pytest.mark.parametrize("k", [0, 1001, "many"])
def test_a_wrong_number_of_items_is_refused(serving: Serving, k: object) -> None:
    assert serving.client.get(f"/recommend/user 1?k={k}").status_code == 422


def test_a_store_that_fails_leaves_the_old_version_and_is_tried_again(store: Store) -> None:
    serving = Serving(store, FailingStore(store, [Fault("get", "manifests/000000000002", "before", first=1)]))
    serving.erase(0)
    serving.steps.look()
    assert serving.get("/version")["version"] == 1
    serving.steps.look()
    assert serving.get("/version")["version"] == 2
