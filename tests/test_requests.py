"""Requests: what is understood, what is said about the rest, and which rows are meant."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifru.errors import RequestError
from ifru.interactions import Dataset
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded, split
from ifru.models import MFConfig, ModelConfig
from ifru.requests import (
    EraseBefore,
    EraseInteractions,
    EraseItem,
    EraseUser,
    Rectify,
    Request,
    near_miss,
    parse_request,
    refusal,
    resolve,
)

USER = {"id": "r1", "type": "erase_user", "subject": "196", "time": "2026-11-21T10:00:00Z"}
PAIRS = {
    "id": "r1",
    "type": "erase_interactions",
    "interactions": [["196", "242"]],
    "time": "2026-11-21T10:00:00Z",
}


def without(base: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in base.items() if key != name}


def test_the_three_types_are_read() -> None:
    user, item = parse_request(json.dumps(USER)), parse_request(json.dumps({**USER, "type": "erase_item"}).encode())
    assert (type(user), type(item)) == (EraseUser, EraseItem)
    pairs = parse_request(json.dumps(PAIRS))
    assert isinstance(pairs, EraseInteractions)
    assert pairs.interactions == [("196", "242")]
    assert user.time.isoformat() == "2026-11-21T10:00:00+00:00"


def test_fields_that_are_not_known_are_no_error() -> None:
    assert parse_request(json.dumps({**USER, "tenant": "x"})).id == "r1"


MALFORMED: list[tuple[str, str | bytes]] = [
    ("payload", ""),
    ("payload", "{"),
    ("payload", b"\xff\xfe"),
    ("payload", "[" * 5000),
    ("payload", '{"id": "\\ud800"}'),
    ("payload", "null"),
    ("payload", "[]"),
    ("payload", '"erase_user"'),
    ("payload", "5"),
    ("type", "{}"),
    ("type", json.dumps({**USER, "type": "forget"})),
    ("type", json.dumps({**USER, "type": None})),
    ("type", json.dumps({**USER, "type": ["erase_user"]})),
    ("id", json.dumps(without(USER, "id"))),
    ("id", json.dumps({**USER, "id": ""})),
    ("id", json.dumps({**USER, "id": 1})),
    ("time", json.dumps(without(USER, "time"))),
    ("time", json.dumps({**USER, "time": "soon"})),
    ("time", json.dumps({**USER, "time": "2026-11-21T10:00:00"})),
    ("time", json.dumps({**USER, "time": None})),
    ("subject", json.dumps(without(USER, "subject"))),
    ("subject", json.dumps({**USER, "subject": ""})),
    ("subject", json.dumps({**USER, "subject": 196})),
    ("subject", json.dumps({**USER, "subject": None})),
    ("subject", json.dumps({**USER, "subject": ["196"]})),
    ("subject", json.dumps({**USER, "subject": "x" * 1025})),
    ("deadline", json.dumps({**USER, "deadline": "soon"})),
    ("deadline", json.dumps({**USER, "deadline": "2026-12-21T10:00:00"})),
    ("before", json.dumps({**USER, "type": "erase_before"})),
    ("before", json.dumps({**USER, "type": "erase_before", "before": "2025-01-01T00:00:00"})),
    ("before", json.dumps({**USER, "type": "erase_before", "before": ["2025-01-01T00:00:00Z"]})),
    ("subject", json.dumps({**without(USER, "subject"), "type": "erase_before", "before": "2025-01-01T00:00:00Z"})),
    ("label", json.dumps({**PAIRS, "type": "rectify"})),
    ("label", json.dumps({**PAIRS, "type": "rectify", "label": "1"})),
    ("label", json.dumps({**PAIRS, "type": "rectify", "label": True})),
    ("label", json.dumps({**PAIRS, "type": "rectify", "label": 1e39})),
    (
        "label",
        '{"id": "r", "type": "rectify", "interactions": [["u", "i"]], "time": "2026-11-21T10:00:00Z", "label": NaN}',
    ),
    ("interactions", json.dumps({**without(PAIRS, "interactions"), "type": "rectify", "label": 1})),
    ("interactions", json.dumps(without(PAIRS, "interactions"))),
    ("interactions", json.dumps({**PAIRS, "interactions": []})),
    ("interactions", json.dumps({**PAIRS, "interactions": {"196": "242"}})),
    ("interactions.0", json.dumps({**PAIRS, "interactions": ["196"]})),
    ("interactions.0", json.dumps({**PAIRS, "interactions": [["196", "242", "x"]]})),
    ("interactions.0.1", json.dumps({**PAIRS, "interactions": [["196"]]})),
    ("interactions.1.0", json.dumps({**PAIRS, "interactions": [["196", "242"], [196, "242"]]})),
]


@pytest.mark.parametrize(("field", "payload"), MALFORMED)
def test_a_malformed_request_names_the_field_that_is_wrong(field: str, payload: str | bytes) -> None:
    with pytest.raises(RequestError) as caught:
        parse_request(payload)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")


SECRET = "sEcReT"
broken: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(SECRET) | st.just("") | st.just(SECRET * 200),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just(SECRET), inner, max_size=1),
    max_leaves=5,
)


@given(
    base=st.sampled_from([USER, PAIRS]),
    changes=st.dictionaries(
        st.sampled_from(["id", "type", "time", "subject", "interactions", SECRET]), broken, min_size=1
    ),
    cut=st.integers(0, 1000),
)
def test_no_value_of_a_request_ever_gets_into_an_error(base: dict[str, Any], changes: dict[str, Any], cut: int) -> None:
    """Ids may be personal data, and errors are logged."""
    subject = {"subject": SECRET, "interactions": [[SECRET, SECRET]]}
    for payload in (json.dumps({**base, **subject, **changes}), json.dumps({**base, **subject, **changes})[:cut]):
        try:
            parse_request(payload)
        except RequestError as error:
            chain: BaseException | None = error
            while chain is not None:
                assert SECRET not in str(chain)
                chain = chain.__cause__ or chain.__context__


@pytest.fixture
def dataset() -> Dataset:
    user, item = np.divmod(np.arange(30, dtype=np.int32), 6)
    names = [f"u{n}" for n in range(5)], [f"i{n}" for n in range(6)]
    recorded = Recorded(user, item, 1.0 + np.arange(30) % 5, None, *names)
    return split(recorded, LabelRule.parse("rating>=1"), 0.3, 0)


def request(**fields: object) -> Request:
    return parse_request(json.dumps({"id": "r", "time": "2026-11-21T10:00:00Z", **fields}))


def test_a_user_means_all_rows_of_theirs_in_both_parts(dataset: Dataset) -> None:
    deletion = resolve(request(type="erase_user", subject="u3"), dataset)
    assert set(dataset.train.user[deletion.train].tolist()) == {3}
    assert set(dataset.holdout.user[deletion.holdout].tolist()) <= {3}
    assert len(deletion) == 6


def test_an_item_means_all_rows_of_it_in_both_parts(dataset: Dataset) -> None:
    deletion = resolve(request(type="erase_item", subject="i2"), dataset)
    assert set(dataset.train.item[deletion.train].tolist()) == {2}
    assert len(deletion) == 5


def test_interactions_mean_their_rows_and_unknown_ones_none(dataset: Dataset) -> None:
    pairs = [["u0", "i0"], ["u0", "i1"], ["u0", "i0"], ["nobody", "i1"], ["u0", "nothing"]]
    deletion = resolve(request(type="erase_interactions", interactions=pairs), dataset)
    assert len(deletion) == 2


@pytest.mark.parametrize("kind", ["erase_user", "erase_item"])
def test_an_unknown_or_erased_subject_means_nothing(dataset: Dataset, kind: str) -> None:
    assert len(resolve(request(type=kind, subject="nobody"), dataset)) == 0
    known = request(type=kind, subject="u1" if kind == "erase_user" else "i1")
    dataset.delete(resolve(known, dataset))
    assert len(resolve(known, dataset)) == 0


def test_neither_time_nor_deadline_nor_a_time_zone_change_what_is_asked_for() -> None:
    first = request(type="erase_before", subject="u1", before="2025-01-01T00:00:00Z")
    again = request(
        type="erase_before",
        subject="u1",
        before="2025-01-01T05:30:00+05:30",
        time="2027-01-01T00:00:00Z",
        deadline="2027-02-01T00:00:00Z",
    )
    assert first.content == again.content
    assert first.content["before"] == "2025-01-01T00:00:00+00:00"
    assert request(type="erase_user", subject="u1").content == {"type": "erase_user", "subject": "u1"}


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def before(microseconds: int, subject: str = "u3") -> EraseBefore:
    asked = request(
        type="erase_before", subject=subject, before=(EPOCH + timedelta(microseconds=microseconds)).isoformat()
    )
    assert isinstance(asked, EraseBefore)
    return asked


@pytest.fixture
def timed() -> Dataset:
    """Positives with times, and negatives that were drawn for them."""
    user, item = np.divmod(np.arange(30, dtype=np.int32), 6)
    names = [f"u{n}" for n in range(5)], [f"i{n}" for n in range(40)]
    return split(Recorded(user, item, None, 1000 + np.arange(30), *names), LabelRule.parse("positive:2"), 0.3, 0)


def test_before_means_what_is_older_with_the_negatives_drawn_for_it(timed: Dataset) -> None:
    at = 1000 + 3 * 6 + 4
    deletion = resolve(before(at), timed)
    for table, rows in ((timed.train, deletion.train), (timed.holdout, deletion.holdout)):
        assert table.time is not None
        origin = table.origin
        wanted = [r for r in range(len(table)) if table.user[origin[r]] == 3 and table.time[origin[r]] < at]
        assert rows.tolist() == wanted
    assert len(deletion) == 4 * 3


def test_before_the_first_row_and_of_an_unknown_user_means_nothing(timed: Dataset) -> None:
    assert len(resolve(before(1000 + 3 * 6), timed)) == 0
    assert len(resolve(before(2000, "nobody"), timed)) == 0
    assert len(resolve(before(2000), timed)) == len(resolve(request(type="erase_user", subject="u3"), timed))


def test_only_data_with_times_has_an_answer_to_before(dataset: Dataset, timed: Dataset) -> None:
    config = MFConfig(rank=2, l2=0.1)
    assert refusal(before(2000), timed, config) is None
    assert refusal(request(type="erase_user", subject="u3"), dataset, config) is None
    error = refusal(before(2000), dataset, config)
    assert error is not None
    assert error.field == "before"
    assert "erase_user" in str(error)
    assert len(resolve(before(2000), dataset)) == 0


@pytest.mark.parametrize(
    ("fields", "near"),
    [
        ({"type": "erase_user", "subject": "U3 "}, True),
        ({"type": "erase_user", "subject": "u33"}, False),
        ({"type": "erase_item", "subject": "I3"}, True),
        ({"type": "erase_item", "subject": "U3"}, False),
        ({"type": "erase_before", "subject": "U3", "before": "2025-01-01T00:00:00Z"}, True),
        ({"type": "erase_before", "subject": "u3", "before": "1960-01-01T00:00:00Z"}, False),
        ({"type": "erase_interactions", "interactions": [["x", "i1"], ["u3", "I1"]]}, True),
        ({"type": "erase_interactions", "interactions": [["U3", "x"]]}, False),
        ({"type": "rectify", "interactions": [["u3", "I1"]], "label": 1}, True),
    ],
)
def test_a_near_miss_is_an_id_in_another_spelling(timed: Dataset, fields: dict[str, object], near: bool) -> None:
    asked = request(**fields)
    assert len(resolve(asked, timed)) == 0
    assert near_miss(asked, timed) == near


@pytest.mark.parametrize(
    ("config", "label", "field"),
    [
        (MFConfig(rank=2, l2=0.1), 0.5, None),
        (MFConfig(rank=2, l2=0.1), 1.5, "label"),
        (MFConfig(rank=2, l2=0.1, loss="squared"), -7, None),
        (MFConfig(rank=2, l2=0.1, loss="bpr"), 1, "type"),
    ],
)
def test_a_label_is_refused_where_it_says_nothing_to_the_model(
    dataset: Dataset, config: ModelConfig, label: float, field: str | None
) -> None:
    asked = request(type="rectify", interactions=[["u0", "i0"]], label=label)
    error = refusal(asked, dataset, config)
    assert (None if error is None else error.field) == field


def test_to_rectify_means_the_recorded_rows_of_the_pairs_that_have_another_label(timed: Dataset) -> None:
    pairs = [["u3", f"i{n}"] for n in range(6)]
    asked = request(type="rectify", interactions=[*pairs, ["u3", "i39"], ["nobody", "i1"]], label=0.5)
    assert isinstance(asked, Rectify)
    found = resolve(asked, timed)
    assert (len(found.train), len(found.holdout)) == (0, 0)
    for table, new in ((timed.train, found.train_labels), (timed.holdout, found.holdout_labels)):
        assert new.rows.tolist() == np.flatnonzero((table.user == 3) & table.recorded).tolist()
        assert set(new.label.tolist()) <= {0.5}
    assert found.relabelled == 6
    timed.delete(found)
    assert len(resolve(asked, timed)) == 0
    assert asked.content == request(type="rectify", interactions=asked.interactions[::-1], label=0.5).content
    assert asked.content != request(type="rectify", interactions=asked.interactions, label=1).content


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"])
def test_a_moment_that_no_calendar_of_utc_has_is_refused(moment: str) -> None:
    with pytest.raises(RequestError) as refused:
        request(type="erase_before", subject="u3", before=moment)
    assert refused.value.field == "before"


def test_an_approval_that_names_no_request_as_an_object_is_told_so() -> None:
    with pytest.raises(RequestError) as refused:
        request(type="approve", request="r1")
    assert refused.value.field == "request"
