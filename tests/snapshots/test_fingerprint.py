"""Fingerprints of requests: equal for what asks for the same under the same id, and for nothing else."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifru.requests import parse_request
from ifru.snapshots import event_hash, fingerprint
from ifru.snapshots.hash_key import keyed

KEY = b"key"
USER = {"id": "r1", "source": "shop", "type": "erase_user", "subject": "é 1", "time": "2026-11-21T10:00:00Z"}
PAIRS = {
    "id": "r1",
    "type": "erase_interactions",
    "interactions": [["b", "y"], ["a", "x"], ["a", "y"]],
    "time": "2026-11-21T10:00:00Z",
}


def of(document: dict[str, Any], key: bytes = KEY) -> str:
    return fingerprint(key, parse_request(json.dumps(document)))


def test_a_fingerprint_can_be_computed_by_anybody_who_has_the_key_and_the_request() -> None:
    told = '["shop","r1",{"subject":"é 1","type":"erase_user"}]'
    assert of(USER) == hmac.new(KEY, told.encode(), hashlib.sha256).hexdigest()[:16]
    pairs = '["","r1",{"interactions":[["a","x"],["a","y"],["b","y"]],"type":"erase_interactions"}]'
    assert of(PAIRS) == hmac.new(KEY, pairs.encode(), hashlib.sha256).hexdigest()[:16]


@pytest.mark.parametrize(
    "same",
    [
        {**PAIRS, "time": "2027-01-01T00:00:00Z"},
        {**PAIRS, "interactions": [["a", "y"], ["a", "x"], ["b", "y"]]},
        {**PAIRS, "interactions": [*PAIRS["interactions"], ["a", "x"]]},
        {**PAIRS, "source": "", "tenant": "x", "subject": "x"},
    ],
)
def test_neither_time_nor_order_nor_repetition_nor_unknown_fields_change_it(same: dict[str, Any]) -> None:
    assert of(same) == of(PAIRS)


def test_everything_else_changes_it() -> None:
    others = [
        USER,
        {**USER, "subject": "2"},
        {**USER, "type": "erase_item"},
        # The subject alone must not be found by trying all that there are.
        {**USER, "id": "r2"},
        {**USER, "source": ""},
        PAIRS,
        {**PAIRS, "interactions": [["b", "y"], ["a", "x"]]},
        {**PAIRS, "interactions": [["y", "b"], ["a", "x"], ["a", "y"]]},
    ]
    found = [of(other) for other in others] + [of(USER, b"another key")]
    assert len(set(found)) == len(found)


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_a_keyed_hash_is_the_one_of_the_standard_library(key: bytes, message: bytes) -> None:
    assert keyed(key, message) == hmac.new(key, message, hashlib.sha256).digest()


@given(st.text(), st.text())
def test_ids_of_any_text_are_hashed_as_the_format_says(source: str, name: str) -> None:
    told = json.dumps([source, name], ensure_ascii=False, separators=(",", ":"))
    assert event_hash(KEY, source, name) == hmac.new(KEY, told.encode(), hashlib.sha256).hexdigest()
