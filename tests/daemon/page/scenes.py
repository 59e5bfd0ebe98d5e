"""Daemons in states that the status page has to show, without a daemon."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry

from ifru.requests import EraseUser
from ifrud.observe.metrics import Metrics
from ifrud.observe.page.figures import Figures
from ifrud.observe.page.render import render
from ifrud.observe.recent import Point
from ifrud.observe.status import Board, Status

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
STALLED_AFTER = 120.0
TOLERANCE = 0.01
SECRET = "person-4711"


@dataclass
class Scene:
    """A daemon at one moment. `now`: of its clock."""

    board: Board
    metrics: Metrics
    now: list[float]

    def figures(self) -> Figures:
        return Figures.of(self.board, self.metrics.registry, STALLED_AFTER, ())

    def page(self, refresh: int = 0, runbooks: str | None = None) -> str:
        return render(self.figures(), refresh, runbooks)


def starting() -> Scene:
    now = [0.0]
    status = Status(
        started=NOW - timedelta(seconds=40), store="s3://models/movies", source="kafka://kafka-0:9093/requests"
    )
    board = Board(status, 30.0, lambda: now[0], lambda: NOW)
    return Scene(board, Metrics(CollectorRegistry()), now)


def healthy() -> Scene:
    """After some days: 48 versions, of which the last ones are a refinement and a proof."""
    scene = starting()
    board, metrics, recent = scene.board, scene.metrics, scene.board.recent
    recent.versions = tuple(point(version) for version in range(412, 460))
    for batch in range(40):
        spread = 0.06 * (1.5 + math.sin(batch * 1.7))
        at = NOW - timedelta(minutes=7 * (40 - batch))
        recent.answered([spread, spread * 1.1, spread * (2.2 + batch % 5)], 0, at)
    recent.open(request(number, 27 - 2 * number) for number in range(3))
    recent.lag(0, NOW)
    for contact in board.contacts.values():
        contact.answered(at=NOW.timestamp())
    metrics.tolerance.set(TOLERANCE)
    metrics.oldest_erased.set(9 * 86400 + 4000)
    board.update(
        started=NOW - timedelta(days=6, hours=3),
        state="ready",
        version=459,
        lag=0,
        requests=1273,
        deleted_interactions=41_018,
        retained_interactions=1_958_213,
        holdout_interactions=215_070,
        residual_influence=0.0004,
        last_version="version 459 moves nothing",
        last_version_time=NOW - timedelta(minutes=4),
    )
    return scene


def point(version: int) -> Point:
    """A version that answers requests, but of every eight a refinement and a proof of it."""
    refined, proven = version % 8 == 2, version % 8 == 3
    influence = 0.0004 if refined or proven else 0.004 + 0.004 * math.sin(version * 1.3) ** 2
    return Point(
        version=version,
        time=NOW - timedelta(minutes=4 + 11 * (459 - version)),
        kind="full" if version % 40 == 0 else "delta",
        requests=0 if refined or proven else 1 + version % 7,
        rows=2_174_000 - 35 * (version - 430),
        influence=influence,
        bound=2.1e-6 * (1.4 + math.sin(version)) if proven else None,
    )


def request(number: int, days: float) -> EraseUser:
    return EraseUser(id=f"r{number}", type="erase_user", subject=SECRET, time=NOW, deadline=NOW + timedelta(days=days))


def failing() -> Scene:
    """The store is away, a deadline has passed, events wait, some are dead letters, and some are held."""
    scene = healthy()
    board, metrics, recent = scene.board, scene.metrics, scene.board.recent
    board.contacts["store"].answered(at=(NOW - timedelta(minutes=26)).timestamp())
    scene.now[0] = 26 * 60.0
    board.contacts["store"].silent(0.0)
    board.beat()
    recent.open([request(0, -0.2), request(1, 0.4), *(request(number, 3.0 * number) for number in range(1, 12))])
    recent.lag(4210, NOW - timedelta(minutes=24))
    recent.lag(4210, NOW)
    recent.letter = NOW - timedelta(minutes=51)
    metrics.dead_letters.labels("subject").inc(17)
    metrics.dead_letters.labels("payload").inc(3)
    board.update(
        lag=4210,
        held=2,
        held_since=NOW - timedelta(hours=5),
        held_reason="would erase 109312 rows after the 1204 of the last hour, which is more than brake_share allows",
    )
    return scene
