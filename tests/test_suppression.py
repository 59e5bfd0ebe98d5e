"""The suppression list: who was erased stays out of data that still have them, and who was released does not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifru import suppression
from ifru.errors import RequestError
from ifru.interactions import Dataset, Deletion
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded, split
from ifru.requests import EraseInteractions, EraseItem, EraseUser, Release, Request, parse_request, resolve
from ifru.snapshots import NO_TIME, NOBODY, Suppressed
from ifru.snapshots.hash_key import encoded_id, subject_hash
from ifru.snapshots.parquet import decode_suppressed, encode_suppressed
from ifru.snapshots.suppressed import KINDS
from ifru.suppression import Suppression

KEY, USERS, ITEMS = bytes(range(32)), 8, 6


def request(number: int, kind: str, **content: Any) -> Request:
    return parse_request(json.dumps({"id": f"r{number}", "time": "2026-11-21T10:00:00Z", "type": kind, **content}))


def recorded(times: bool = False) -> Recorded:
    pairs = np.random.default_rng(0).permutation(USERS * ITEMS)[:30]
    user, item = (pairs // ITEMS).astype(np.int32), (pairs % ITEMS).astype(np.int32)
    time = np.arange(30, dtype=np.int64) * 1_000_000 if times else None
    return Recorded(user, item, None, time, [f"ü{n}" for n in range(USERS)], [f"i{n}" for n in range(ITEMS)])


def dataset() -> Dataset:
    return split(recorded(), LabelRule.parse("positive:1"), holdout=0.3, seed=0)


subjects = st.one_of(
    st.tuples(st.sampled_from(["erase_user", "release"]), st.integers(0, USERS)).map(
        lambda drawn: (drawn[0], {"subject": f"ü{drawn[1]}"})
    ),
    st.integers(0, ITEMS).map(lambda item: ("erase_item", {"subject": f"i{item}"})),
    st.tuples(
        st.sampled_from(["erase_interactions", "release"]),
        st.lists(st.tuples(st.integers(0, USERS), st.integers(0, ITEMS)), min_size=1, max_size=4),
    ).map(lambda drawn: (drawn[0], {"interactions": [[f"ü{user}", f"i{item}"] for user, item in drawn[1]]})),
)


def still_meant(requests: list[Request]) -> list[Request]:
    """What is to be erased from fresh data after requests, by hand: one request for each subject that stands."""
    standing: dict[tuple[str, ...], Request] = {}
    for number, asked in enumerate(requests):
        match asked:
            case EraseUser() | EraseItem():
                standing[asked.type, asked.subject] = asked
            case EraseInteractions():
                for pair in asked.interactions:
                    standing[pair] = request(number, "erase_interactions", interactions=[pair])
            case Release(subject=str(user)):
                standing.pop(("erase_user", user), None)
            case Release(interactions=pairs):
                for pair in pairs or ():
                    standing.pop(pair, None)
    return list(standing.values())


def test_what_is_shown_of_a_list_holds_no_key() -> None:
    assert repr(KEY) not in repr(Suppression(KEY))


@given(st.lists(subjects, max_size=12), st.integers(0, 12))
def test_the_rows_of_fresh_data_that_are_forbidden_are_those_of_all_requests_that_were_not_released(
    drawn: list[tuple[str, dict[str, Any]]], cut: int
) -> None:
    requests = [request(number, kind, **content) for number, (kind, content) in enumerate(drawn)]
    empty, data = Suppression(KEY), dataset()
    found = empty.after(empty.of(requests[:cut])).after(empty.of(requests[cut:])).rows(data)
    wanted = Deletion.union(resolve(asked, data) for asked in still_meant(requests))
    assert found.train.tolist() == wanted.train.tolist()
    assert found.holdout.tolist() == wanted.holdout.tolist()


entries = st.dictionaries(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 2**64 - 1) | st.integers(0, 3)),
    st.none() | st.integers(-(10**12), 10**15),
    max_size=8,
)


@given(entries, entries)
def test_of_two_lists_the_later_entry_holds_and_of_two_times_the_later_time(first: Any, second: Any) -> None:
    both = Suppressed.of(first).then(Suppressed.of(second))
    wanted = dict(first)
    for subject, time in second.items():
        known = wanted.get(subject)
        wanted[subject] = time if time is None or known is None else max(time, known)
    stands = decode_suppressed(encode_suppressed(both))
    named = zip(stands.kind, stands.hash.tolist(), stands.time.tolist(), stands.released, strict=True)
    assert {(KINDS[kind], hashed): None if gone else time for kind, hashed, time, gone in named} == wanted


def test_a_file_without_who_was_erased_knows_them_no_more() -> None:
    none, data = Suppression(KEY), recorded()
    listed = none.of([request(1, "erase_user", subject="ü3"), request(2, "erase_item", subject="i0")])
    kept = none.after(listed).kept(data)
    assert "ü3" not in kept.users
    assert "i0" not in kept.items
    left = [(kept.users[user], kept.items[item]) for user, item in zip(kept.user, kept.item, strict=True)]
    rows = zip(data.user.tolist(), data.item.tolist(), strict=True)
    assert left == [(f"ü{user}", f"i{item}") for user, item in rows if user != 3 and item != 0]


@pytest.mark.parametrize("times", [True, False])
def test_rows_before_a_time_are_left_out_of_a_table_and_all_of_that_user_where_it_has_no_times(times: bool) -> None:
    data, time = recorded(times=True), np.arange(30) * 1_000_000
    until = int(np.median(time[data.user == 3]))
    listed = Suppressed.of({("before", subject_hash(KEY, "user", encoded_id("ü3"))): until})
    table = pa.table(
        {
            "user": [data.users[user] for user in data.user],
            "item": [data.items[item] for item in data.item],
            **({"timestamp": pa.array(time, pa.timestamp("us"))} if times else {}),
        }
    )
    left = suppression.filter(table, Suppression(KEY, (listed,)))
    kept = (data.user != 3) | (times & (time >= until))
    assert left.to_pylist() == table.filter(pa.array(kept)).to_pylist()
    assert left.num_rows < table.num_rows


def test_under_another_key_nobody_is_found() -> None:
    none = Suppression(KEY)
    listed = none.of([request(1, "erase_user", subject="ü3")])
    assert len(Suppression(KEY, (listed,)).rows(dataset())) > 0
    assert len(Suppression(bytes(32), (listed,)).rows(dataset())) == 0


def test_an_entry_has_a_time_only_where_it_is_about_one() -> None:
    none = Suppression(KEY)
    listed = none.of(
        [request(1, "erase_user", subject="a"), request(2, "erase_interactions", interactions=[["a", "b"]])]
    )
    assert listed.time.tolist() == [NO_TIME, NO_TIME]
    assert len(none.of([])) == len(NOBODY) == 0


def test_a_release_names_a_subject_or_interactions() -> None:
    for wrong in ({}, {"subject": "u", "interactions": [["u", "i"]]}):
        with pytest.raises(RequestError, match="subject or interactions"):
            request(1, "release", **wrong)
