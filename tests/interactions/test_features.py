"""Features: read, encoded, refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ifru.errors import DataError
from ifru.interactions import Ids
from ifru.interactions.feature_files import load_features
from ifru.interactions.features import FeatureColumn, encoded, encoding_of

IDS = Ids([f"u{n}" for n in range(12)])


def table(**columns: list[object]) -> pa.Table:
    return pa.table({"row": pa.array(range(len(next(iter(columns.values())))), pa.int32()), **columns})


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_numbers_are_standardised_and_categories_are_numbers_of_their_own() -> None:
    features = table(age=[20, 30, 40, 50, 30] * 2, kind=["b", "a"] * 5, member=[True] * 6 + [False] * 4)
    encoding = encoding_of(features)
    assert encoding == (
        FeatureColumn(name="age", mean=34.0, scale=float(np.std([20, 30, 40, 50, 30]))),
        FeatureColumn(name="kind", values=("a", "b")),
        FeatureColumn(name="member", values=("true",)),
    )
    numbers = encoded(features, encoding, 12)
    assert numbers.shape == (12, 4)
    assert numbers.dtype == np.float32
    np.testing.assert_allclose(numbers[:10, 0].mean(), 0, atol=1e-6)
    np.testing.assert_allclose(numbers[:10, 0].std(), 1, atol=1e-6)
    np.testing.assert_array_equal(numbers[:2, 1:], [[0, 1, 1], [1, 0, 1]])
    assert not numbers[10:].any()


def test_a_category_of_few_leaves_no_trace_in_the_encoding() -> None:
    (column,) = encoding_of(table(city=["Rome"] * 5 + ["Nowhere"] * 4))
    assert column.values == ("Rome",)
    assert encoding_of(table(city=["Rome"] * 4 + ["Nowhere"] * 4)) == ()
    assert encoding_of(table(age=[3, 3, 3])) == ()


def test_what_is_missing_or_new_has_zeros() -> None:
    encoding = (FeatureColumn(name="kind", values=("a", "b")),)
    numbers = encoded(table(kind=["a", None, "c", "b"]), encoding, 5)
    np.testing.assert_array_equal(numbers, [[1, 0], [0, 0], [0, 0], [0, 1], [0, 0]])


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_rows_are_found_by_their_ids_whatever_the_order(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"users{ending}"
    if ending == ".csv":
        written(path, "user_id,age", "u7,30", "u2,40")
    else:
        pq.write_table(pa.table({"age": [30, 40], "user_id": ["u7", "u2"]}), path)
    found = load_features(path, "user", IDS)
    assert found.to_pydict() == {"row": [7, 2], "age": [30, 40]}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["user,age", "u1,30", "nobody,40"], "1 users are not in the data, such as 'nobody'"),
        (["user,age", "u1,30", "u2,1", "u1,31"], "user 'u1' is there 2 times"),
        (["user,age", "u1,30", "u2,"], "column 'age' is empty or not finite in 1 rows"),
        (["user,age", "u1,30", "u2,nan"], "column 'age' is empty or not finite in 1 rows"),
        (["user,born", "u1,1980-01-02"], "column 'born' is of type date32"),
        (["user,row", "u1,3"], "column 'row' has a name that is taken"),
        (["user", "u1"], "has a column of ids and no features"),
        (["item,age", "i1,30"], "no user column"),
        (["user,age"], "has no rows"),
    ],
)
def test_what_cannot_be_used_is_said_with_the_file(tmp_path: Path, lines: list[str], said: str) -> None:
    path = written(tmp_path / "users.csv", *lines)
    with pytest.raises(DataError, match=said) as refused:
        load_features(path, "user", IDS)
    assert str(path) in str(refused.value)
