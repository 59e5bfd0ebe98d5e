"""How fast a thread works that others share the machine with."""

from __future__ import annotations

from threading import Event

import pytest

from ifrud.pace import Pace


class Clock:
    """Time that passes only while somebody works or rests. late: so much later than it wants who rests is woken."""

    def __init__(self, late: float = 0.0) -> None:
        self.now, self.rested, self.rests, self._late = 0.0, 0.0, 0, late

    def work(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, event: Event, seconds: float) -> None:
        self.rests += 1
        if not event.is_set():
            self.now += seconds + self._late
            self.rested += seconds + self._late


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_who_is_held_back_works_for_its_share_of_the_time_however_long_its_steps_are(share: float) -> None:
    clock = Clock()
    pace = Pace(lambda: clock.now, clock.wait)
    pace.hold_back(share)
    pace.begin()
    for seconds in (0.1, 2.0, 0.001, 0.5, 0.1):
        clock.work(seconds)
        pace.step()
    assert (clock.now - clock.rested) / clock.now == pytest.approx(share)


def test_who_is_let_go_does_not_rest() -> None:
    clock = Clock()
    pace = Pace(lambda: clock.now, clock.wait)
    pace.hold_back(0.25)
    pace.let_go()
    pace.begin()
    clock.work(3.0)
    pace.step()
    assert clock.rested == 0


def test_who_rests_wakes_up_when_it_is_let_go() -> None:
    clock = Clock()

    def wait(event: Event, seconds: float) -> None:
        pace.let_go()
        clock.wait(event, seconds)

    pace = Pace(lambda: clock.now, wait)
    pace.hold_back(0.25)
    pace.begin()
    clock.work(3.0)
    pace.step()
    assert clock.rested == 0


def test_time_before_the_beginning_is_no_work() -> None:
    clock = Clock()
    pace = Pace(lambda: clock.now, clock.wait)
    pace.hold_back(0.5)
    clock.work(100.0)
    pace.begin()
    clock.work(1.0)
    pace.step()
    assert clock.rested == 1.0


def test_who_is_woken_late_rests_less_the_next_time_and_many_short_steps_share_a_rest() -> None:
    clock = Clock(late=0.005)
    pace = Pace(lambda: clock.now, clock.wait)
    pace.hold_back(0.25)
    pace.begin()
    for _ in range(1000):
        clock.work(0.001)
        pace.step()
    assert (clock.now - clock.rested) / clock.now == pytest.approx(0.25, rel=0.02)
    assert clock.rests < 200
