"""When a batch closes, and how it grows."""

from __future__ import annotations

from ifrud.batcher import ARRIVING, Batcher, Closed
from ifrud.settings import BatchSettings
from ifrud.streams.sources import Event

SETTINGS = BatchSettings(max_requests=4, max_backlog=10, max_bytes=1000, max_age_ms=1000, idle_ms=250)


def events(count: int, size: int = 1) -> list[Event]:
    return [Event(b"x" * size, None, (), 0, n, n + 1, 0.0) for n in range(count)]


def closed(batcher: Batcher, now: float) -> Closed | None:
    batch = batcher.close(now)
    return None if batch is None else batch.closed


def test_an_empty_batch_never_closes_and_waits_for_ever() -> None:
    batcher = Batcher(SETTINGS)
    assert batcher.patience(1e9) is None
    assert batcher.close(1e9) is None
    assert batcher.close(1e9, stopping=True) is None


def test_it_closes_once_no_more_events_come() -> None:
    batcher = Batcher(SETTINGS)
    batcher.add(events(1), now=10.0)
    batcher.add(events(1), now=10.125)
    batcher.add([], now=10.25)
    assert batcher.patience(10.25) == 0.125
    assert closed(batcher, 10.25) is None
    assert closed(batcher, 10.375) is Closed.IDLE
    assert len(batcher) == 0


def test_it_closes_on_the_age_of_its_oldest_event_though_more_keep_coming() -> None:
    batcher = Batcher(SETTINGS)
    for now in (0.0, 0.5, 0.875):
        batcher.add(events(1), now)
    assert batcher.patience(0.875) == 0.125
    assert closed(batcher, 0.9375) is None
    assert closed(batcher, 1.0) is Closed.AGE


def test_what_came_while_nobody_looked_has_waited_already_and_waits_a_little_for_what_is_on_its_way() -> None:
    for since, due in ((0.0, 8.0 + ARRIVING), (6.5, 8.0 + ARRIVING), (7.25, 8.25), (7.75, 8.75)):
        batcher = Batcher(SETTINGS.model_copy(update={"idle_ms": 10_000}))
        batcher.add(events(1), now=8.0, since=since)
        batcher.add(events(1), now=8.0)
        assert closed(batcher, due - 0.001) is None
        assert closed(batcher, due + 0.001) is Closed.AGE


def test_the_ends_of_two_batches_lie_an_interval_apart_unless_one_is_full_or_the_last() -> None:
    batcher = Batcher(SETTINGS, interval=5.0)
    batcher.add(events(1), now=0.0)
    assert closed(batcher, 0.25) is Closed.IDLE
    batcher.add(events(2), now=1.0)
    assert batcher.patience(2.0) == 3.25
    assert closed(batcher, 5.0) is None
    assert closed(batcher, 5.25) is Closed.AGE
    batcher.add(events(4), now=6.0)
    assert batcher.patience(6.0) == 0.0
    assert closed(batcher, 6.0) is Closed.FULL
    batcher.add(events(1), now=7.0)
    assert closed(batcher, 7.5) is None
    last = batcher.close(7.5, stopping=True)
    assert last is not None
    assert last.closed is Closed.STOP


def test_it_closes_at_once_when_it_is_full_of_events_or_of_bytes() -> None:
    batcher = Batcher(SETTINGS)
    batcher.add(events(4), now=0.0)
    assert (batcher.room, batcher.patience(0.0)) == (0, 0.0)
    assert closed(batcher, 0.0) is Closed.FULL
    batcher.add(events(1, size=1000), now=0.0)
    assert closed(batcher, 0.0) is Closed.FULL


def test_it_takes_more_under_backlog_and_until_the_backlog_is_gone() -> None:
    batcher = Batcher(SETTINGS)
    sizes = []
    for _ in range(3):
        batcher.add(events(batcher.room), now=0.0)
        batch = batcher.close(0.0)
        assert batch is not None
        sizes.append(len(batch.events))
    assert sizes == [4, 10, 10]
    batcher.add(events(1), now=0.0)
    batcher.add(events(1), now=0.875)
    assert closed(batcher, 1.0) is Closed.AGE
    assert batcher.room == 10
    batcher.add(events(1), now=1.0)
    assert closed(batcher, 1.25) is Closed.IDLE
    assert batcher.room == 4


def test_stopping_closes_what_is_in_hand() -> None:
    batcher = Batcher(SETTINGS)
    batcher.add(events(3), now=0.0)
    batch = batcher.close(0.0, stopping=True)
    assert batch is not None
    assert (len(batch.events), batch.closed) == (3, Closed.STOP)


def test_events_keep_their_order() -> None:
    batcher = Batcher(SETTINGS)
    stream = events(4)
    batcher.add(stream[:1], now=0.0)
    batcher.add(stream[1:], now=0.0)
    batch = batcher.close(0.0)
    assert batch is not None
    assert list(batch.events) == stream
