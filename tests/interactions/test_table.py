"""Interactions: CSR order of both sides, and deletion by tombstone, under random use."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ifru.interactions import Columns, Interactions
from ifru.interactions.table import ascending, ranges


@st.composite
def columns(draw: st.DrawFn) -> Columns:
    """Any rows, duplicates included; a row's origin is itself or an earlier recorded one."""
    rows = draw(st.integers(0, 25))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    origin = np.arange(rows)
    recorded = random.random(rows) < 0.5
    if recorded.any():
        drawn = np.flatnonzero(~recorded)
        origin[drawn] = random.choice(np.flatnonzero(recorded), size=len(drawn))
    return Columns(
        user=random.integers(0, 5, rows).astype(np.int32),
        item=random.integers(0, 4, rows).astype(np.int32),
        label=random.random(rows).astype(np.float32),
        weight=random.random(rows).astype(np.float32),
        time=random.integers(0, 1000, rows),
        origin=origin,
        offset=random.random(rows).astype(np.float32),
    )


def table_of(columns: Columns) -> Interactions:
    return Interactions(columns, users=5, items=4)


def rows_of(columns: Columns) -> list[tuple[float, ...]]:
    """The rows with their positives in place of positions, in an order that does not depend on the table's."""
    fields = [columns.user, columns.item, columns.label, columns.weight, columns.time, columns.offset]
    rows = [tuple(float(field[n]) for field in fields) for n in range(len(columns))]
    return sorted((*row, *rows[columns.origin[n]]) for n, row in enumerate(rows))


positions = st.lists(st.integers(0, 24), max_size=12)


def within(table: Interactions, rows: list[int]) -> np.ndarray:
    return np.array([row for row in rows if row < len(table)], dtype=np.int64)


@given(columns())
def test_a_table_holds_what_it_was_given(given_columns: Columns) -> None:
    assert rows_of(table_of(given_columns).columns()) == rows_of(given_columns)


@given(columns())
def test_rows_are_sorted_by_user_and_item(given_columns: Columns) -> None:
    table = table_of(given_columns)
    keys = list(zip(table.user.tolist(), table.item.tolist(), strict=True))
    assert keys == sorted(keys)


@given(columns(), positions)
def test_an_entity_has_its_rows_listed_with_the_far_ends_ascending(given_columns: Columns, gone: list[int]) -> None:
    table = table_of(given_columns)
    table.delete(within(table, gone))
    incidence, ends = table.incidence, [table.user, table.item + table.users]
    for entity in range(table.users + table.items):
        near, far = ends if entity < table.users else ends[::-1]
        found = incidence.of(np.array([entity]))
        assert found.tolist() == np.flatnonzero(near == entity).tolist()
        assert far[found].tolist() == sorted(far[found].tolist())
        assert incidence.far[incidence.start[entity] : incidence.start[entity + 1]].tolist() == far[found].tolist()
    assert incidence.order[: len(table)].tolist() == list(range(len(table)))


@given(columns(), st.sets(st.integers(0, 8)))
def test_listed_entities_have_their_rows_one_after_the_other(given_columns: Columns, listed: set[int]) -> None:
    table, entities = table_of(given_columns), np.array(sorted(listed), dtype=np.int64)
    expected = [z for entity in entities for z in table.incidence.of(np.array([entity]))]
    assert table.incidence.of(entities).tolist() == expected
    assert table.incidence.total(entities) == len(expected)
    users, items = (entities[half].tolist() for half in table.halves(entities))
    assert (users, items) == ([e for e in sorted(listed) if e < 5], [e for e in sorted(listed) if e >= 5])


@given(columns(), positions, positions)
def test_degrees_and_lists_count_retained_rows_alone(given_columns: Columns, first: list[int], then: list[int]) -> None:
    table = table_of(given_columns)
    for rows in (first, then):
        table.delete(within(table, rows))
    assert table.retained == int(table.alive.sum()) == len(table.columns())
    for user in range(table.users):
        expected = np.flatnonzero(table.alive & (table.user == user))
        assert table.rows_of_user(user).tolist() == expected.tolist()
        assert table.user_degree[user] == len(expected)
    for item in range(table.items):
        expected = np.flatnonzero(table.alive & (table.item == item))
        assert table.rows_of_item(item).tolist() == expected.tolist()
        assert table.item_degree[item] == len(expected)


@given(columns(), positions)
def test_retiring_twice_retires_once(given_columns: Columns, rows: list[int]) -> None:
    table = table_of(given_columns)
    chosen = within(table, rows)
    assert table.delete(chosen).tolist() == sorted(set(chosen.tolist()))
    kept = table.copy()
    assert len(table.delete(chosen)) == 0
    assert table.alive.tolist() == kept.alive.tolist()
    assert table.user_degree.tolist() == kept.user_degree.tolist()


@given(columns(), positions, positions)
def test_companions_are_the_retained_negatives_of_the_rows(
    given_columns: Columns, gone: list[int], rows: list[int]
) -> None:
    table = table_of(given_columns)
    table.delete(within(table, gone))
    chosen = within(table, rows)
    drawn = np.flatnonzero(table.alive & np.isin(table.origin, chosen) & (table.origin != np.arange(len(table))))
    assert table.with_companions(chosen).tolist() == sorted({*chosen.tolist(), *drawn.tolist()})


@given(columns(), positions)
def test_recorded_rows_of_a_pair_are_found_and_negatives_are_not(given_columns: Columns, gone: list[int]) -> None:
    table = table_of(given_columns)
    table.delete(within(table, gone))
    recorded = table.origin == np.arange(len(table))
    for user in range(table.users):
        for item in range(table.items):
            expected = np.flatnonzero(table.alive & recorded & (table.user == user) & (table.item == item))
            assert table.rows_of_pairs([(user, item)]) == expected.tolist()


pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=8)


@given(columns(), positions, pairs, st.booleans())
def test_pairs_have_the_rows_and_the_negatives_that_a_look_at_every_row_finds(
    given_columns: Columns, gone: list[int], asked: list[tuple[int, int]], compacted: bool
) -> None:
    table = table_of(given_columns)
    table.relabel(table.delete(within(table, gone)), np.float32(2))
    table = table_of(table.columns()) if compacted else table.copy()
    recorded, drawn = set(), set()
    for row in range(len(table)):
        positive = int(table.origin[row])
        if table.alive[positive] and (int(table.user[positive]), int(table.item[positive])) in asked:
            if positive == row:
                recorded.add(row)
            elif table.alive[row]:
                drawn.add(row)
    assert table.rows_of_pairs(asked) == sorted(recorded)
    assert table.with_companions(table.rows_of_pairs(asked)).tolist() == sorted(recorded | drawn)


@given(columns(), positions)
def test_compacted_rows_build_the_same_table_again(given_columns: Columns, gone: list[int]) -> None:
    table = table_of(given_columns)
    negatives = table.with_companions(within(table, gone))
    table.delete(negatives)
    compacted = table.columns()
    assert rows_of(table_of(compacted).columns()) == rows_of(compacted)
    assert len(compacted) == table.retained


@given(columns(), positions)
def test_a_copy_is_independent(given_columns: Columns, rows: list[int]) -> None:
    table = table_of(given_columns)
    copy = table.copy()
    table.delete(within(table, rows))
    assert copy.retained == len(copy)
    assert copy.alive.all()


@given(columns(), st.integers(0, 2**32 - 1))
def test_tombstones_can_be_given_with_the_rows(given_columns: Columns, seed: int) -> None:
    alive = np.random.default_rng(seed).random(len(given_columns)) < 0.5
    table = Interactions(given_columns, 5, 4, alive)
    assert table.retained == int(alive.sum())
    assert int(table.user_degree.sum()) == int(table.item_degree.sum()) == int(alive.sum())
    assert sorted(table.label[table.alive].tolist()) == sorted(given_columns.label[alive].tolist())


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), max_size=6))
def test_ranges_are_concatenated(pieces: list[tuple[int, int]]) -> None:
    first = np.array([start for start, _ in pieces], dtype=np.int64)
    last = np.array([start + length for start, length in pieces], dtype=np.int64)
    expected = [number for start, length in pieces for number in range(start, start + length)]
    assert ranges(first, last).tolist() == expected


@given(st.lists(st.one_of(st.integers(0, 3), st.integers(0xFFFE, 0x20001), st.integers(0, 2**31 - 1))))
def test_ascending_numbers_of_the_same_value_stay_in_their_order(numbers: list[int]) -> None:
    given = np.array(numbers, dtype=np.int32)
    assert ascending(given).tolist() == sorted(range(len(numbers)), key=numbers.__getitem__)
