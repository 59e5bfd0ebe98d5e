"""How far a source has been read, and when a drain is done."""

from __future__ import annotations

from ifrud.streams.positions import Goal, advanced, lag
from ifrud.streams.sources import Event


def event(partition: int, offset: int) -> Event:
    return Event(b"", None, (), partition, offset, offset + 1, 0.0)


def test_reading_moves_the_partitions_that_were_read_and_no_other() -> None:
    before = {0: 5, 1: 7}
    assert advanced(before, [event(0, 5), event(2, 0), event(0, 9)]) == {0: 10, 1: 7, 2: 1}
    assert before == {0: 5, 1: 7}


def test_lag_counts_partitions_that_were_never_read_and_nothing_twice() -> None:
    assert lag({0: 5, 1: 9}, {0: 8, 1: 9, 2: 4}) == 7
    assert lag({0: 5}, {0: 3}) == 0


def test_a_goal_is_what_was_there_when_it_was_set() -> None:
    goal = Goal({0: 3, 1: 2})
    assert not goal.reached({0: 3})
    goal.lower({0: 9, 1: 9})
    assert goal.reached({0: 3, 1: 2})


def test_a_goal_comes_down_where_the_last_offsets_turn_out_to_be_no_events() -> None:
    goal = Goal({0: 4})
    assert not goal.reached({0: 3})
    goal.lower({0: 3})
    assert goal.reached({0: 3})
