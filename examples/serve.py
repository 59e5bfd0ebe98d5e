"""Serve recommendations from the newest version of a model, and change to newer ones as they are published.

    python examples/serve.py s3://models/movies [PORT]
    curl 'localhost:8000/recommend/196?k=5'

A request is answered from one version as a whole. Once a version that has forgotten a user is read, they are unknown.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from threading import Thread

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Query

import ifru
from ifru.models.quality import scorer
from ifru.snapshots import Version

SECONDS = 1.0
"""Between two looks at the store."""


class Newest:
    """The newest version of a store. A thread of its own watches for newer ones; `version` always is a whole one."""

    def __init__(self, reader: ifru.Reader, sleep: Callable[[float], None] = time.sleep) -> None:
        """Waits until there is a version. sleep: what the thread does between two looks."""
        self._reader, self._sleep = reader, sleep
        self.version = next(reader.watch(SECONDS, sleep))
        Thread(target=self._follow, name="versions", daemon=True).start()

    def _follow(self) -> None:
        while True:
            try:
                for version in self._reader.watch(SECONDS, self._sleep, held=self.version):
                    self.version = version
            except ifru.IfruError as error:
                logging.warning("still serving version %d: %s", self.version.manifest.version, error)
                self._sleep(SECONDS)


def recommended(version: Version, user: int, k: int) -> Iterator[tuple[str, float]]:
    """Items that a user (a row) does not have yet, the best first, with their scores."""
    tables, dataset = version.serving, version.dataset
    model = scorer(version.manifest.model, tables)
    score = model.scores(tables.user[user].expand_as(tables.item), tables.item).numpy()
    known = dataset.train.item_degree > 0  # nothing was learnt of the others, or it was forgotten
    for part in (dataset.train, dataset.holdout):
        rows = part.rows_of_user(user)
        known[part.item[rows[part.origin[rows] == rows]]] = False  # the user's own; sampled negatives are not
    items = np.flatnonzero(known)
    for item in items[np.argsort(-score[items], kind="stable")[:k]]:
        yield str(dataset.items.name(int(item))), float(score[item])


def create_app(newest: Newest) -> FastAPI:
    app = FastAPI(title="Recommendations that can forget")

    @app.get("/recommend/{user}")
    def recommend(user: str, k: int = Query(10, ge=1, le=1000)) -> dict[str, object]:
        version = newest.version  # once: the next line may see a newer one
        row = version.dataset.users.row(user)
        if row is None:
            raise HTTPException(404, "unknown, or forgotten")
        items = [{"item": item, "score": score} for item, score in recommended(version, row, k)]
        return {"version": version.manifest.version, "items": items}

    @app.get("/version")
    def version() -> dict[str, object]:
        manifest = newest.version.manifest
        return {"version": manifest.version, "time": manifest.time, "model": manifest.model.name}

    return app


if __name__ == "__main__":
    store = ifru.open_store(sys.argv[1])
    uvicorn.run(create_app(Newest(ifru.Reader(store))), port=int(sys.argv[2]) if len(sys.argv) > 2 else 8000)
