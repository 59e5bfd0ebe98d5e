"""What the brake lets pass: against a dense reference that counts rows as sets."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ifru.interactions import Deletion
from ifru.snapshots import ErasedRows
from ifrud.requests.brake import Brake
from tests.daemon.world import trained_dataset

NOON = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
DATA = trained_dataset()
TOTAL = len(DATA.train) + len(DATA.holdout)


def deletion(rows: set[int]) -> Deletion:
    """Rows of both tables, numbered on from the first to the second."""
    found, train = np.array(sorted(rows), dtype=np.int64), len(DATA.train)
    return Deletion(found[found < train], found[found >= train] - train)


some_rows = st.lists(st.sets(st.integers(TOTAL - 150, TOTAL - 1), max_size=40), min_size=1, max_size=8)


@given(some_rows, st.floats(0, 0.3), st.integers(0, 60), st.data())
def test_rows_are_counted_once_and_every_request_passes_that_still_fits(
    asked: list[set[int]], share: float, recent: int, data: st.DataObject
) -> None:
    approved = data.draw(st.sets(st.sampled_from(range(len(asked)))))
    erased = [ErasedRows(minute=NOON - timedelta(minutes=10, seconds=30), rows=recent)] if recent else []
    parts = {("", str(number)): deletion(rows) for number, rows in enumerate(asked)}
    free = [("", str(number)) for number in approved]
    verdict = Brake(share, erased=erased).judge(parts, free, DATA, NOON)

    gone: set[int] = set().union(*(asked[number] for number in approved))
    counted, held = 0, set()
    for number, rows in enumerate(asked):
        new = rows - gone
        if new and recent + counted + len(new) > share * (TOTAL + recent):
            held.add(("", str(number)))
        else:
            gone |= new
            counted += len(new)
    assert (set(verdict.held), verdict.counted) == (held, counted)


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(0, 50)), max_size=100), st.floats(0, 200))
def test_an_hour_is_remembered_by_minutes_and_no_more_than_sixty_of_them(
    steps: list[tuple[float, int]], later: float
) -> None:
    now, brake = NOON, Brake(0.05)
    erased: Counter[datetime] = Counter()
    for minutes, rows in steps:
        now += timedelta(minutes=minutes)
        brake = brake.after({}, (), rows, now)
        erased[now.replace(second=0, microsecond=0)] += rows
        assert len(brake.erased) <= 60
    now += timedelta(minutes=later)
    minute = now.replace(second=0, microsecond=0)
    recent = sum(rows for at, rows in erased.items() if at > minute - HOUR)
    limit = 0.05 * (TOTAL + recent)
    most = int(limit - recent)
    for rows in (most, most + 1):
        if 0 < rows <= TOTAL:
            verdict = brake.judge({("", "r"): deletion(set(range(rows)))}, (), DATA, now)
            assert bool(verdict.held) is (recent + rows > limit)


def test_without_a_limit_nothing_is_held() -> None:
    everything = {("", "r"): deletion(set(range(TOTAL)))}
    assert Brake(1).judge(everything, (), DATA, NOON).held == {}


def test_a_clock_that_was_set_back_forgets_nothing() -> None:
    brake = Brake(0.05).after({}, (), 20, NOON).after({}, (), 5, NOON - 2 * HOUR)
    assert [each.rows for each in brake.erased] == [5, 20]
    verdict = brake.judge({("", "r"): deletion(set(range(10)))}, (), DATA, NOON - 2 * HOUR)
    assert verdict.held
