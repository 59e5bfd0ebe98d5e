"""What the demo sends."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from ifru.errors import IfruError, RequestError
from ifru.interactions import Dataset
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.requests import EraseInteractions, EraseUser, parse_request, resolve
from ifrud_demo.plan import plan

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def dataset(users: int = 100, items: int = 80, rows: int = 1500, rule: str = "value>=4") -> Dataset:
    return split(generate(users, items, rows, seed=0), LabelRule.parse(rule), holdout=0.2, seed=0)


@pytest.mark.parametrize("rule", ["value>=4", "positive:1"])
def test_it_is_a_mixture_in_which_each_request_but_one_finds_something(rule: str) -> None:
    data = dataset(rule=rule)
    planned = plan(data, 60, 0, NOW)
    assert len(planned.events) == 60
    kinds = Counter(type(request) for request in planned.requests)
    assert kinds == {EraseInteractions: 55, EraseUser: 4}
    empty = [request for request in planned.requests if len(resolve(request, data)) == 0]
    assert [type(request) for request in empty] == [EraseUser]
    whole = {request.subject for request in planned.requests if isinstance(request, EraseUser)}
    assert not [r for r in planned.requests if isinstance(r, EraseInteractions) and r.interactions[0][0] in whole]


def test_one_event_is_no_request_and_all_others_are_as_planned() -> None:
    planned = plan(dataset(), 60, 0, NOW)
    good, bad = [], []
    for name, event in planned.events.items():
        try:
            request = parse_request(event)
            assert request.id == name
            good.append(request)
        except RequestError as error:
            bad.append(str(error))
    assert good == planned.requests
    assert bad == ["subject: is missing"]


def test_the_same_seed_gives_the_same_events() -> None:
    assert plan(dataset(), 60, 1, NOW) == plan(dataset(), 60, 1, NOW) != plan(dataset(), 60, 2, NOW)


def test_most_of_a_small_data_set_stays() -> None:
    data = dataset(users=10, items=20, rows=50)
    left = data.copy()
    for request in plan(data, 1000, 0, NOW).requests:
        left.delete(resolve(request, left))
    assert left.train.retained > len(data.train) / 2
    with pytest.raises(IfruError, match="8 rows to train on are too few"):
        plan(dataset(users=8, items=8, rows=10), 10, 0, NOW)


def test_a_user_who_is_called_nobody_is_not_taken_for_the_unknown_one() -> None:
    recorded = generate(20, 20, 90, seed=0)
    recorded.users[3] = "nobody"
    data = split(recorded, LabelRule.parse("value>=4"), holdout=0.2, seed=0)
    subjects = [r.subject for r in plan(data, 9, 0, NOW).requests if isinstance(r, EraseUser)]
    assert [subject for subject in subjects if data.users.row(subject) is None] == ["nobody-"]
