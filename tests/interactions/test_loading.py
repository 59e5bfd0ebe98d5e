"""Data files of every form that people have, and what is said about those that cannot be used."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ifru.errors import DataError
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import load_dataset, read_file

RULE = LabelRule.parse("rating>=4")


def written(path: Path, content: str | bytes | dict[str, object]) -> Path:
    if isinstance(content, dict):
        pq.write_table(pa.table(content), path)
    else:
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_ids_are_text_and_leading_zeros_count(tmp_path: Path) -> None:
    read = read_file(written(tmp_path / "a.csv", "user,item,rating\n007,x,4\n7,0x,3\n007,x y,5\n"), "rating")
    assert read.users == ["007", "7"]
    assert read.items == ["x", "0x", "x y"]
    assert read.user.tolist() == [0, 1, 0]
    assert read.item.tolist() == [0, 1, 2]
    assert read.value is not None
    assert read.value.tolist() == [4, 3, 5]


@pytest.mark.parametrize("name", ["plain.csv", "packed.csv.gz"])
def test_csv_is_read_plain_and_gzipped(tmp_path: Path, name: str) -> None:
    read = read_file(written(tmp_path / name, "rating,user_id,movieId\n4,1,2\n"), "rating")
    assert (read.users, read.items) == (["1"], ["2"])


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        ([12, 7], ["12", "7"]),
        (["a", "é"], ["a", "é"]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array([b"a", b"b"]), ["a", "b"]),
    ],
)
def test_parquet_ids_of_any_type_become_text(tmp_path: Path, ids: object, names: list[str]) -> None:
    read = read_file(written(tmp_path / "a.parquet", {"user": ids, "item": ids, "rating": [4, 5]}), "rating")
    assert read.users == read.items == names


MOMENT = int(datetime(2020, 1, 1, 10, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize("text", ["1577872800", "1577872800.0", "2020-01-01 10:00:00", "2020-01-01T10:00:00Z"])
def test_csv_times_are_seconds_or_timestamps(tmp_path: Path, text: str) -> None:
    read = read_file(written(tmp_path / "a.csv", f"user,item,timestamp\n1,1,{text}\n"), None)
    assert read.time is not None
    assert read.time.tolist() == [MOMENT]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet_times_of_any_unit_are_microseconds(tmp_path: Path, unit: str) -> None:
    times = pa.array([MOMENT // 1_000_000]).cast(pa.timestamp("s")).cast(pa.timestamp(unit))
    read = read_file(written(tmp_path / "a.parquet", {"user": ["a"], "item": ["b"], "time": times}), None)
    assert read.time is not None
    assert read.time.tolist() == [MOMENT]


def test_dates_are_midnight_and_no_time_is_no_error(tmp_path: Path) -> None:
    dated = read_file(written(tmp_path / "a.csv", "user,item,timestamp\n1,1,1970-01-02\n"), None)
    assert dated.time is not None
    assert dated.time.tolist() == [86_400_000_000]
    assert read_file(written(tmp_path / "b.csv", "user,item\n1,1\n"), None).time is None


ROW = {"user": ["a"], "item": ["b"], "rating": [4]}
BAD = [
    ("a.csv", "", None),
    ("a.csv", b"\x00\xff\xfe\n\x01", None),
    ("a.csv", b"user,item,rating\n\xff\xfe,1,4\n", None),
    ("a.csv", "user,item,rating\n1,1,4\n7,1\n", None),
    ("a.csv", "user,item,rating\n", "no rows"),
    ("a.csv", "person,item,rating\n1,1,4\n", "no user column"),
    ("a.csv", "user,thing,rating\n1,1,4\n", "no item column"),
    ("a.csv", "user,item,stars\n1,1,4\n", "'rating'"),
    ("a.csv", "user,user,item,rating\n1,2,1,4\n", "'user'"),
    ("a.csv", "user,item,rating\n,1,4\n", "'user'"),
    ("a.csv", "user,itemid,rating\n1,,4\n1,2,4\n", "'itemid'"),
    ("a.csv", "user,item,rating\n1,1,good\n", "'rating'"),
    ("a.csv", "user,item,rating\n1,1,\n2,2,5\n", "'rating'"),
    ("a.csv", "user,item,rating\n1,1,inf\n", "'rating'"),
    ("a.csv", "user,item,rating\n1,1,2020-01-01\n", "'rating'"),
    ("a.csv", "user,item,rating,timestamp\n1,1,4,yesterday\n", "'timestamp'"),
    ("a.csv", "user,item,rating,timestamp\n1,1,4,1e300\n", "'timestamp'"),
    ("a.csv", "user,item,rating,timestamp\n1,1,4,5\n1,2,4,\n", "'timestamp'"),
    ("a.parquet", "no parquet", None),
    ("a.parquet", {**ROW, "user": pa.array([None], pa.string())}, "'user'"),
    ("a.parquet", {**ROW, "user": [[1]]}, "'user'"),
    ("a.parquet", {**ROW, "item": pa.array([b"\xff"])}, "'item'"),
    ("a.parquet", {**ROW, "rating": [[4]]}, "'rating'"),
    ("a.parquet", {**ROW, "time": pa.array([5], pa.duration("s"))}, "'time'"),
    ("a.parquet", {**ROW, "time": pa.array([None], pa.timestamp("us"))}, "'time'"),
]


@pytest.mark.parametrize(("name", "content", "said"), BAD)
def test_a_file_that_cannot_be_used_is_named_with_its_column(
    tmp_path: Path, name: str, content: str | bytes | dict[str, object], said: str | None
) -> None:
    path = written(tmp_path / name, content)
    with pytest.raises(DataError) as caught:
        read_file(path, "rating")
    assert str(path) in str(caught.value)
    assert (said or "cannot be read as") in str(caught.value)


def test_something_that_is_not_gzip_and_a_missing_file_are_named(tmp_path: Path) -> None:
    fake = tmp_path / "fake.csv.gz"
    fake.write_bytes(b"not gzip")
    for path in (fake, tmp_path / "missing.csv", tmp_path / "missing.parquet"):
        with pytest.raises(DataError, match=str(path)):
            read_file(path, None)


def test_the_text_of_an_error_holds_no_id(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "user,item,rating\nsecret-user,secret-item,bad\n")
    with pytest.raises(DataError) as caught:
        read_file(path, "rating")
    assert "secret" not in str(caught.value)


def many(path: Path) -> Path:
    random = np.random.default_rng(0)
    pairs = random.permutation(20 * 30)[:200]
    lines = [f"u{pair // 30},i{pair % 30},{random.integers(1, 6)}" for pair in pairs]
    return written(path, "user,item,rating\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize("rule", ["rating>=4", "rating", "positive:2"])
def test_the_same_seed_splits_in_the_same_way_and_another_does_not(tmp_path: Path, rule: str) -> None:
    path, parsed = many(tmp_path / "a.csv"), LabelRule.parse(rule)
    first, again, other = (load_dataset(path, parsed, 0.2, seed) for seed in (0, 0, 1))
    for part in ("train", "holdout"):
        ours, same, different = (getattr(dataset, part).columns() for dataset in (first, again, other))
        for field in ("user", "item", "label", "weight", "origin"):
            assert np.array_equal(getattr(ours, field), getattr(same, field))
        assert not np.array_equal(ours.item, different.item)


def test_a_split_keeps_every_row_once_with_its_label(tmp_path: Path) -> None:
    path = many(tmp_path / "a.csv")
    read, dataset = read_file(path, "rating"), load_dataset(path, RULE, 0.25, 3)
    assert (len(dataset.train), len(dataset.holdout)) == (150, 50)
    assert read.value is not None
    found = [
        (int(user), int(item), float(label))
        for part in (dataset.train, dataset.holdout)
        for user, item, label in zip(part.user, part.item, part.label, strict=True)
    ]
    expected = zip(read.user.tolist(), read.item.tolist(), (read.value >= 4).astype(float).tolist(), strict=True)
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(tmp_path: Path, share: float) -> None:
    with pytest.raises(DataError, match="holdout"):
        load_dataset(many(tmp_path / "a.csv"), RULE, share, 0)


def test_nothing_held_out_leaves_all_for_training(tmp_path: Path) -> None:
    dataset = load_dataset(many(tmp_path / "a.csv"), LabelRule.parse("positive"), 0.0, 0)
    assert (len(dataset.train), len(dataset.holdout)) == (400, 0)


def test_negatives_belong_to_their_positive_and_were_never_recorded(tmp_path: Path) -> None:
    path = many(tmp_path / "a.csv")
    read, dataset = read_file(path, None), load_dataset(path, LabelRule.parse("positive:3"), 0.2, 0)
    recorded = set(zip(read.user.tolist(), read.item.tolist(), strict=True))
    for part in (dataset.train, dataset.holdout):
        own = part.origin == np.arange(len(part))
        assert part.label.tolist() == own.astype(float).tolist()
        assert np.bincount(part.origin).tolist() == [4 if mine else 0 for mine in own][: int(part.origin.max()) + 1]
        assert (part.user == part.user[part.origin]).all()
        negatives = set(zip(part.user[~own].tolist(), part.item[~own].tolist(), strict=True))
        assert not negatives & recorded


def test_a_user_who_met_every_item_gets_no_negatives(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "user,item\nall,1\nall,2\nsome,1\n")
    dataset = load_dataset(path, LabelRule.parse("positive:1"), 0.0, 0)
    assert len(dataset.train.rows_of_user(0)) == 2
    assert len(dataset.train.rows_of_user(1)) == 2


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("rating>=4", [0, 1, 1]),
        ("rating > 4", [0, 0, 1]),
        ("rating<=4", [1, 1, 0]),
        ("rating<4.5", [1, 1, 0]),
        ("rating==4", [0, 1, 0]),
        ("rating>=-1", [1, 1, 1]),
        ("rating", [1, 4, 5]),
        ("positive:1", [1, 1, 1]),
    ],
)
def test_a_label_rule_does_what_it_says(text: str, labels: list[float]) -> None:
    rule = LabelRule.parse(text)
    values = np.array([1.0, 4.0, 5.0]) if rule.column else None
    assert rule.labels(values, 3).tolist() == labels


@pytest.mark.parametrize("text", ["", "rating>=", ">=4", "rating=4", "rating>=four", "positive:x", "a b"])
def test_a_label_rule_that_is_not_understood_is_quoted_with_what_is_allowed(text: str) -> None:
    with pytest.raises(DataError) as caught:
        LabelRule.parse(text)
    assert repr(text) in str(caught.value)
    assert "rating>=4" in str(caught.value)
