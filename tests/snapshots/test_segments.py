"""Requests that were answered, as files that later versions name as well."""

from __future__ import annotations

import io
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ifru.snapshots import CorruptFile, Event, Manifest, Reader, Remembered, Run, State, Store
from ifru.snapshots.answered import NOTHING, STATES, AnswerRows
from ifru.snapshots.parquet import decode_answered, encode_answered
from tests.snapshots.cases import TIME, Live, writer


def run(version: int, *states: State, start: int = 0, time: datetime = TIME, residual: float | None = 0.1) -> Run:
    events = [Event(hash=f"{start + n:032x}"[::-1], fingerprint=f"{n:x}".zfill(8)) for n in range(len(states))]
    return Run.of_version(version, time, residual, events, states)


def assert_same(one: Run, other: Run) -> None:
    for field in fields(AnswerRows):
        name = field.name
        np.testing.assert_array_equal(getattr(one.columns(), name), getattr(other.columns(), name), err_msg=name)
    assert one.nbytes == other.nbytes


RUNS = st.lists(
    st.builds(
        lambda states, start, days, residual: (states, start, days, residual),
        st.lists(st.sampled_from(STATES), min_size=1, max_size=8),
        st.integers(0, 30),
        st.floats(0, 100),
        st.none() | st.floats(0, 1),
    ),
    max_size=8,
)


@settings(max_examples=100, deadline=None)
@given(parts=RUNS)
def test_what_is_written_is_read_again_exactly(parts: list[tuple[list[State], int, float, float | None]]) -> None:
    runs = [
        run(version + 2, *states, start=start, time=TIME + timedelta(days=days), residual=residual)
        for version, (states, start, days, residual) in enumerate(parts)
    ]
    merged = Run.merged(runs)
    assert_same(decode_answered(encode_answered(merged)), merged)


@pytest.mark.parametrize("residual", [0.1, 0.5, None])
def test_a_residual_is_kept_to_the_last_bit(residual: float | None) -> None:
    merged = Run.merged([run(2, "published", start=5), run(3, "published", residual=residual)])
    read = decode_answered(encode_answered(merged))
    assert {first.version: first.residual for first in map(read.first, range(2))} == {2: 0.1, 3: residual}


def test_any_reader_of_parquet_sees_columns_that_explain_themselves() -> None:
    table = pq.read_table(pa.BufferReader(encode_answered(run(7, "published", "nothing_to_erase"))))
    assert {name: str(table[name].type) for name in table.column_names} == {
        "hash": "uint64",
        "fingerprint": "uint32",
        "state": "string",
        "version": "int64",
        "time": "int64",
        "residual": "double",
    }
    # The first of them has the fingerprint 0, which stands for none.
    assert table["fingerprint"].to_pylist() == [None, 1]
    assert table["state"].to_pylist() == ["published", "nothing_to_erase"]


def test_what_is_older_than_is_asked_for_is_left_out_when_runs_are_merged() -> None:
    runs = [run(v, "published", start=v, time=TIME + timedelta(days=v)) for v in range(2, 8)]
    merged = Run.merged(runs, since=TIME + timedelta(days=5))
    assert merged.versions.values.tolist() == [5, 6, 7]
    assert sorted(merged.first(place).version for place in range(len(merged))) == [5, 6, 7]
    assert len(Run.merged(runs, since=TIME + timedelta(days=8))) == 0


def remembering(live: Live, answered: Remembered | None, full: bool = False) -> Any:
    change = live.change(live.dataset.delete(live.dataset.of_user(0)), [], np.array([], dtype=np.int64), 1, full)
    return replace(change, answered=answered)


def test_versions_name_the_segments_of_their_parents_until_one_says_otherwise(store: Store) -> None:
    live, by = Live.new(), writer(store)
    first, second = run(2, "published", "failed", residual=None), run(3, "purged", start=5)
    manifests = [live.start(by)]

    def commit(answered: Remembered | None, full: bool = False) -> Manifest:
        manifests.append(by.commit(manifests[-1], remembering(live, answered, full)))
        return manifests[-1]

    full = commit(Remembered((), first, 1), full=True)
    assert commit(None).answered == full.answered
    both = commit(Remembered(full.answered, second, 3))
    assert commit(Remembered(both.answered, NOTHING, 4)).answered == both.answered
    assert [(each.first, each.last, each.count) for each in both.answered] == [(2, 1, 2), (3, 3, 1)]
    for manifest in manifests[3:]:
        assert Reader(store).manifest(manifest.version) == manifest
        (one, read), (other, read_second) = Reader(store).answered(manifest)
        assert (one, other) == both.answered
        assert_same(read, first)
        assert_same(read_second, second)
    alone = commit(Remembered((both.answered[1],), NOTHING, 5))
    assert [each.path for each in alone.answered] == [both.answered[1].path]


def test_a_segment_with_other_bytes_is_named(memory: Store) -> None:
    live, by = Live.new(), writer(memory)
    manifest = by.commit(live.start(by), remembering(live, Remembered((), run(2, "published"), 1)))
    (segment,) = manifest.answered
    data = memory.get(segment.path)
    memory.put(segment.path, data[:-1] + b"x")
    with pytest.raises(CorruptFile, match=f"{segment.path} has SHA-256"):
        list(Reader(memory).answered(manifest))
    memory.delete(segment.path)
    with pytest.raises(CorruptFile, match=f"{segment.path} is missing"):
        list(Reader(memory).answered(manifest))


def test_a_state_that_a_later_release_has_invented_is_refused() -> None:
    good = pq.read_table(pa.BufferReader(encode_answered(run(7, "published", "published"))))
    columns = good.to_pydict() | {"state": ["new", "new"]}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    with pytest.raises(ValueError, match="states are published"):
        decode_answered(sink.getvalue())
