"""When something that the daemon depends on counts as away."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from ifru.snapshots import NotFound, Store, StoreError
from ifrud.attended import AttendedStore
from ifrud.observe.contact import Contact
from tests.fixtures.failing_store import FailingStore, Fault
from tests.snapshots.cases import another_store

PATIENCE = 30.0
START = datetime(2026, 11, 21, tzinfo=UTC)


class Hand:
    """A clock that is moved by hand; `utc` is the time of day that goes with it."""

    now = 100.0

    def __call__(self) -> float:
        return self.now

    def utc(self) -> datetime:
        return START + timedelta(seconds=self.now)


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def contact(hand: Hand) -> Contact:
    return Contact("store", PATIENCE, hand, hand.utc)


def ask(contact: Contact, hand: Hand, seconds: float, every: float = 1.0) -> None:
    """Ask in vain for some time, without a pause."""
    for _ in range(round(seconds / every)):
        asked = hand.now
        hand.now += every
        contact.silent(asked)


def test_nothing_is_known_before_it_was_asked(contact: Contact) -> None:
    assert math.isnan(contact.connected)
    assert math.isnan(contact.answered_at)
    assert not contact.away


def test_silence_for_longer_than_patience_is_being_away_and_an_answer_ends_it(contact: Contact, hand: Hand) -> None:
    contact.answered()
    ask(contact, hand, PATIENCE)
    assert (contact.connected, contact.away) == (1, False)
    ask(contact, hand, 1)
    assert (contact.connected, contact.away, contact.since) == (0, True, START + timedelta(seconds=100))
    contact.answered()
    assert (contact.connected, contact.since, contact.silence) == (1, None, 0)


def test_one_that_never_answered_is_away_as_well(contact: Contact, hand: Hand) -> None:
    ask(contact, hand, PATIENCE + 1)
    assert (contact.connected, contact.away, contact.since) == (0, True, None)


def test_time_in_which_nobody_asked_is_no_silence(contact: Contact, hand: Hand) -> None:
    contact.answered()
    ask(contact, hand, 1)
    hand.now += 10 * PATIENCE
    assert not contact.away


def test_an_answer_that_was_heard_before_is_no_answer(contact: Contact, hand: Hand) -> None:
    for _ in range(round(PATIENCE) + 2):
        asked = hand.now
        hand.now += 1
        contact.heard(7.0, asked)
    assert (contact.away, contact.answered_at) == (True, 7)
    contact.heard(8.0, hand.now)
    assert (contact.away, contact.answered_at) == (False, 8)


def test_a_store_that_says_that_there_is_nothing_has_answered(contact: Contact, hand: Hand) -> None:
    with pytest.raises(NotFound):
        AttendedStore(another_store(), contact).get("nothing")
    assert contact.answered_at == hand.utc().timestamp()


def test_a_store_that_can_be_read_and_not_written_is_away(contact: Contact, hand: Hand) -> None:
    store: Store = AttendedStore(FailingStore(another_store(), [Fault("put", "full", "before")]), contact)
    for _ in range(round(PATIENCE) + 2):
        with pytest.raises(StoreError):
            store.put("full", b"")
        hand.now += 1
        assert not store.exists("full")
    assert contact.away
    store.put("other", b"")
    assert not contact.away


def test_the_log_says_once_what_failed_that_it_is_away_and_that_it_is_back(contact: Contact, hand: Hand) -> None:
    with capture_logs() as log:
        for _ in range(round(2 * PATIENCE)):
            with pytest.raises(StoreError), contact.asking(StoreError):
                hand.now += 1
                raise StoreError("no route")
        contact.answered()
    assert [line["event"] for line in log] == [
        "the store failed, and is asked again until it answers: no route",
        "the store has been away for 31 s: not ready",
        "the store answers again, after 60 s",
    ]
