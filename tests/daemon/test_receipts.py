"""Receipts as they are stored and sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from ifrud.requests.receipts import Receipt

TIME = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def receipt(**changes: Any) -> Receipt:
    facts = {"request": ("shop", "r-1"), "state": "published", "version": 7, "time": TIME, "residual_influence": 0.125}
    return Receipt.of(**{**facts, **changes})


def test_a_receipt_is_one_line_of_json() -> None:
    line = receipt().line()
    assert b"\n" not in line
    document = json.loads(line)
    assert document.pop("id")
    assert document == {
        "request_id": "r-1",
        "source": "shop",
        "state": "published",
        "version": 7,
        "time": "2026-11-21T09:30:00Z",
        "residual_influence": 0.125,
    }


def test_a_receipt_without_residual_says_null() -> None:
    assert json.loads(receipt(state="nothing_to_erase", residual_influence=None).line())["residual_influence"] is None


def test_the_id_is_that_of_the_fact_whenever_and_however_it_is_told() -> None:
    assert receipt().id == receipt(time=TIME + timedelta(hours=1), residual_influence=None).id


@pytest.mark.parametrize(
    "changes", [{"request": ("shop", "r-2")}, {"request": ("", "r-1")}, {"state": "nothing_to_erase"}, {"version": 8}]
)
def test_another_fact_has_another_id(changes: dict[str, Any]) -> None:
    assert receipt().id != receipt(**changes).id


def test_the_id_does_not_change_between_releases() -> None:
    assert str(receipt().id) == "f8d59513-b31f-554e-a976-69fc72f04091"


def test_times_are_written_in_utc() -> None:
    local = TIME.astimezone(timezone(timedelta(hours=5)))
    assert receipt(time=local).line() == receipt().line()


def test_a_receipt_can_be_read_back() -> None:
    assert Receipt.read(receipt().line()) == receipt()


def test_a_line_that_is_no_receipt_is_refused() -> None:
    with pytest.raises(ValidationError):
        Receipt.read(b'{"previous": null}')


def test_a_record_is_keyed_by_its_request() -> None:
    record = receipt().record()
    assert (record.key, record.value) == ("r-1", receipt().line())
