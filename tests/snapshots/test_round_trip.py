"""What is written is what is read, in any order of deltas, full versions and restarts."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load as decode_tensors

from ifru.interactions import Columns, Dataset, Deletion, Ids, Interactions
from ifru.models import MFConfig, ModelConfig
from ifru.objective.parameters import Parameters, ParameterUpdate, Steps
from ifru.snapshots import Change, FullState, Reader
from ifru.snapshots.parquet import decode_ids, decode_interactions, encode_ids, encode_interactions
from ifru.snapshots.parts import DType, Table
from ifru.snapshots.tensors import (
    Delta,
    decode_delta,
    decode_parameters,
    encode_delta,
    encode_tensors,
    named_tensors,
    tables_of,
)
from tests.snapshots.cases import RESIDUAL, Live, another_store, assert_same, update_of, writer

unhurried = settings(deadline=None)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def interactions(draw: st.DrawFn, users: int, items: int) -> Interactions:
    """Recorded rows, then sampled negatives that point at them."""
    row = st.tuples(st.integers(0, users - 1), st.integers(0, items - 1))
    recorded = draw(st.lists(row, max_size=8))
    origins = draw(st.lists(st.integers(0, len(recorded) - 1), max_size=4)) if recorded else []
    sampled = [(recorded[origin][0], draw(st.integers(0, items - 1))) for origin in origins]
    pairs = np.array(recorded + sampled, dtype=np.int32).reshape(-1, 2)
    count = len(pairs)
    values = st.lists(floats, min_size=count, max_size=count)
    times = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=count, max_size=count)
    time, offset = draw(st.none() | times), draw(st.none() | values)
    columns = Columns(
        user=pairs[:, 0],
        item=pairs[:, 1],
        label=np.array(draw(values), dtype=np.float32),
        weight=np.array(draw(values), dtype=np.float32),
        time=None if time is None else np.array(time, dtype=np.int64),
        origin=np.array([*range(len(recorded)), *origins], dtype=np.int64),
        offset=None if offset is None else np.array(offset, dtype=np.float32),
    )
    return Interactions(columns, users, items)


@st.composite
def models(draw: st.DrawFn) -> tuple[ModelConfig, Live]:
    users, items = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    config = MFConfig(rank=draw(st.integers(1, 3)), bias=draw(st.booleans()), l2=0.1)
    ids = [draw(st.lists(st.text(min_size=1), min_size=n, max_size=n, unique=True)) for n in (users, items)]
    dataset = Dataset(draw(interactions(users, items)), draw(interactions(users, items)), Ids(ids[0]), Ids(ids[1]))
    # An id that was lost before the model was started.
    if draw(st.booleans()):
        dataset.delete(dataset.of_user(0))
        dataset.users.forget(0)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    tables = (torch.randn((n, config.rank + config.bias), generator=generator) for n in (users, items))
    return config, Live(Parameters.of(*tables), dataset)


steps = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans(), st.booleans()), min_size=1, max_size=5)


@unhurried
@given(models(), steps)
def test_any_chain_of_deltas_full_versions_and_restarts_is_the_model_in_memory(
    model: tuple[ModelConfig, Live], actions: list[tuple[int, int, bool, bool]]
) -> None:
    config, live = model
    store = another_store()
    reader, by = Reader(store), writer(store)
    manifest = by.start(FullState(config, live.tables, live.dataset), {}, RESIDUAL)
    held = reader.load()
    assert_same(held, live)
    for user, item, full, restarted in actions:
        if restarted:
            live, by = Live.of(reader.load()), writer(store)
        manifest = by.commit(manifest, _erase_pair(config, live, user % len(live.tables.user), item, full))
        before = held.manifest.version
        assert_same(reader.load(), live)
        assert_same(held := reader.advance(held), live)
        assert held.manifest == manifest
        assert held.manifest.version == before + 1
        # Neither reading nor advancing takes an older version away.
        reader.load(before)


def _erase_pair(config: ModelConfig, live: Live, user: int, item: int, full: bool) -> Change:
    """A user's rows with one item, and all rows of another user; a third one's with the item get another label."""
    item %= len(live.tables.item)
    whole_user = live.dataset.of_user((user + 1) % len(live.tables.user))
    other_label = live.dataset.relabelled([((user + 2) % len(live.tables.user), item)], 0.5 + user)
    both = Deletion.union([live.dataset.of_pair(user, item), whole_user, other_label])
    deletion = live.dataset.delete(both)
    live.tables.user[user] -= 1.0
    live.tables.item[item] *= 2.0
    return Change(
        update=update_of(live.tables, [user], [item]),
        deletion=deletion,
        positions={},
        events=[],
        residual=RESIDUAL,
        full=FullState(config, live.tables, live.dataset) if full else None,
    )


@unhurried
@given(models())
def test_tables_and_interactions_and_ids_come_back_as_they_were(model: tuple[ModelConfig, Live]) -> None:
    config, live = model
    tables = decode_parameters(encode_tensors(named_tensors(live.tables, config)), config)
    assert torch.equal(tables.user, live.tables.user)
    assert torch.equal(tables.item, live.tables.item)
    assert list(decode_ids(encode_ids(live.dataset.users), len(live.tables.user))) == list(live.dataset.users)
    users, items = len(live.tables.user), len(live.tables.item)
    written = Interactions(live.dataset.train.columns(), users, items)
    read = decode_interactions(encode_interactions(live.dataset.train), users, items)
    for name in ("user", "item", "label", "weight", "origin", "time", "offset", "degree"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name), err_msg=name)


@unhurried
@given(st.permutations([0, 3, 4, 7]))
def test_the_order_of_moved_rows_changes_no_byte_of_a_delta(order: list[int]) -> None:
    config = MFConfig(rank=2, l2=0.1)
    values = torch.arange(16.0).reshape(8, 2)
    part, ordered = ((rows, values[rows]) for rows in (torch.tensor(order), torch.tensor([0, 3, 4, 7])))
    data, other = (
        encode_delta(Delta(ParameterUpdate({"user": user, "item": item}), Deletion.nothing()), config, {})
        for user, item in ((part, ordered), (ordered, part))
    )
    assert data == other
    assert torch.equal(decode_delta(data, config, {}).update.tables["user"][1], values[[0, 3, 4, 7]])


@unhurried
@given(st.dictionaries(st.integers(0, 40), st.tuples(st.integers(-100, 100), st.integers(-32767, 32767)), min_size=1))
def test_steps_are_read_as_they_were_written(drawn: dict[int, tuple[int, int]]) -> None:
    config, rows = MFConfig(rank=2, l2=0.1, bias=True), sorted(drawn)
    exponent, most = (torch.tensor([float(drawn[row][which]) for row in rows]) for which in (0, 1))
    written = Steps(torch.tensor(rows), exponent, (most[:, None] * torch.tensor([1.0, -0.5, 0.0])).trunc())
    update = ParameterUpdate({}, steps={"item": written})
    for tables in ({}, {"item": Table(rows=rows[-1] + 1, dtype="float32")}):
        data = encode_delta(Delta(update, Deletion.nothing()), config, tables)
        read = decode_delta(data, config, tables).update.steps["item"]
        for field in ("rows", "exponent", "counts"):
            assert torch.equal(getattr(read, field), getattr(written, field)), field


@pytest.mark.parametrize(
    ("spoiled", "what"),
    [
        ({"steps.item.rows": torch.tensor([1, 2], dtype=torch.uint8)}, "rows 0 to 9 of the item table"),
        ({"steps.item.rows": torch.tensor([3], dtype=torch.uint8)}, "of 2 rows, with 1 exponents"),
        ({"steps.item.exponent": torch.tensor([101], dtype=torch.int8)}, "exponents beyond 100"),
        ({"steps.item.wide": torch.tensor([], dtype=torch.uint8)}, "of 1 rows, with 1 exponents and 0 widths"),
        ({"steps.item.wide": torch.tensor([1], dtype=torch.uint8)}, r"\(1, 2\)\)\], of 0 rows"),
        ({"steps.item.embedding.int8": torch.ones(2, 2, dtype=torch.int8)}, r"\(2, 2\)\)\], of 1 rows"),
        ({"steps.item.embedding.int8": torch.ones(1, 2)}, r"float32, \(1, 2\)\)\], of 1 rows"),
    ],
)
def test_steps_that_are_none_are_refused(spoiled: dict[str, torch.Tensor], what: str) -> None:
    config, tables = MFConfig(rank=2, l2=0.1), {"item": Table(rows=8, dtype="float32")}
    steps = Steps(torch.tensor([0]), torch.zeros(1), torch.ones(1, 2))
    data = encode_delta(Delta(ParameterUpdate({}, steps={"item": steps}), Deletion.nothing()), config, tables)
    tensors = decode_tensors(data) | spoiled
    if "steps.item.rows" in spoiled and len(spoiled["steps.item.rows"]) > 1:
        tensors |= {"steps.item.exponent": torch.zeros(2, dtype=torch.int8)}
        tensors |= {"steps.item.embedding.int8": torch.ones(2, 2, dtype=torch.int8)}
    with pytest.raises(ValueError, match=what):
        decode_delta(encode_tensors(tensors), config, tables)


@pytest.mark.parametrize(
    ("dtype", "counts", "what"),
    [("float16", 1.0, "which is float16, take steps"), ("float32", 32768.0, "counts up to 32768, beyond two bytes")],
)
def test_steps_that_readers_could_not_follow_are_not_written(dtype: DType, counts: float, what: str) -> None:
    steps = {"item": Steps(torch.tensor([0]), torch.zeros(1), torch.full((1, 2), counts))}
    delta = Delta(ParameterUpdate({}, steps=steps), Deletion.nothing())
    with pytest.raises(ValueError, match=what):
        encode_delta(delta, MFConfig(rank=2, l2=0.1), {"item": Table(rows=8, dtype=dtype)})


def test_the_same_state_gives_the_same_bytes_in_every_process() -> None:
    """The digests stand for all other processes: whoever changes them changes the format."""
    config = MFConfig(rank=2, l2=0.1, bias=True)
    tables = Parameters.of(torch.arange(9.0).reshape(3, 3), -torch.arange(6.0).reshape(2, 3))
    delta = Delta(update_of(tables, [0, 2], [1]), Deletion(np.array([4, 5]), np.array([], dtype=np.int64)))
    encoded = encode_tensors(named_tensors(tables, config)), encode_delta(delta, config, tables_of(tables))
    digests = [hashlib.sha256(data).hexdigest() for data in encoded]
    assert digests == [
        "626ae3555cd5e16d4472c6883dbe50fc3f6cf622334ab0c58affac8a648895db",
        "97d09d39ab2d878d04e73ecd792d6ac0d1b35fdb6f07bb280fda1f4c9565f2fe",
    ]


def test_two_writers_of_the_same_state_write_the_same_tensors() -> None:
    contents = []
    for name in ("a", "b"):
        live, store = Live.new(timed=True), another_store()
        by = writer(store, name)
        manifest = by.commit(live.start(by), live.erase(1))
        full, delta = Reader(store).manifest(1).file("model"), manifest.file("delta")
        contents.append((full.sha256, delta.sha256))
        assert {full.path, delta.path} <= {path for path in store.list("model") if f"-{name}-" in path}
    assert contents[0] == contents[1]
