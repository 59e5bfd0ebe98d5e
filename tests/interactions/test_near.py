"""Ids that are known in another spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifru.interactions import Ids
from ifru.interactions.near import normal_form

COMPOSED, DECOMPOSED = "\u00e9", "e\u0301"


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("User-7", "uSER-7"),
        (f"caf{COMPOSED}", f"Caf{DECOMPOSED}"),
        (" 42\t", "42"),
        ("0042", "42"),
        ("000", "0"),
        ("ß", "SS"),
    ],
)
def test_case_composition_blanks_and_leading_zeros_are_spelling(name: str, other: str) -> None:
    ids = Ids([name])
    assert ids.near(other)
    assert not ids.near(name)


@pytest.mark.parametrize(("name", "other"), [("a b", "ab"), ("420", "42"), ("e", COMPOSED), ("u-7", "u7"), ("0", "")])
def test_everything_else_is_another_id(name: str, other: str) -> None:
    assert not Ids([name]).near(other)


def test_an_id_that_is_known_itself_is_near_where_another_spelling_is_known_too() -> None:
    assert Ids(["A", "a"]).near("A")


spellings = st.lists(st.sampled_from(["a", "A", " a", "0a", "b", "B ", "00", "0", COMPOSED, DECOMPOSED]), unique=True)


@given(names=spellings, asked=spellings, forgotten=st.sets(st.integers(0, 9)))
def test_ids_that_were_forgotten_since_the_first_question_are_near_no_more(
    names: list[str], asked: list[str], forgotten: set[int]
) -> None:
    ids = Ids(names)
    for name in asked:
        ids.near(name)
    left = set(names)
    for row in forgotten & set(range(len(names))):
        ids.forget(row)
        left.discard(names[row])
    for name in asked:
        assert ids.near(name) == any(normal_form(other) == normal_form(name) for other in left - {name})
