"""Whatever a model is made of is in a version, and survives deltas and full versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load, save

from ifru.models import MFConfig, UnknownModel, model_of
from ifru.models.lightgcn import LightGCNConfig
from ifru.objective.parameters import Parameters
from ifru.snapshots import CorruptFile, FullState, Reader, Store, serving_of
from ifru.snapshots.format import manifest_path
from tests.fixtures.failing_store import RecordingStore
from tests.snapshots.cases import RESIDUAL, Live, writer
from tests.snapshots.towers import CONFIG, assert_equal, forgets, offsets, rows_of, state


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_every_table_and_shared_tensor_is_stored_in_its_own_type(memory: Store, dtype: torch.dtype) -> None:
    model, by, reader = state(dtype), writer(memory), Reader(memory)
    manifest = by.start(model, {}, RESIDUAL)
    name = str(dtype).removeprefix("torch.")
    assert rows_of(manifest) == {"user": (8, name), "item": (6, name), "genre": (5, name)}
    held = reader.load()
    assert_equal(held.parameters, model.parameters)
    for user in (1, 2):
        manifest = by.commit(manifest, forgets(model, user))
        assert_equal(reader.load().parameters, model.parameters)
        assert_equal(reader.advance(held).parameters, model.parameters)
    by.commit(manifest, forgets(model, 3, full=model))
    assert_equal(reader.advance(held).parameters, model.parameters)


def test_a_table_in_double_precision_is_stored_in_single(memory: Store) -> None:
    model = state(torch.float64)
    manifest = writer(memory).start(model, {}, RESIDUAL)
    writer(memory).commit(manifest, forgets(model, 1))
    assert_equal(Reader(memory).load().parameters, model.parameters.to("cpu", torch.float32))


def test_a_delta_is_in_the_type_of_the_table_whatever_computed_it(memory: Store) -> None:
    model = state(torch.bfloat16)
    manifest = writer(memory).start(model, {}, RESIDUAL)
    change = forgets(model, 1)
    exact = {name: (rows, values.float()) for name, (rows, values) in change.update.tables.items()}
    writer(memory).commit(manifest, replace(change, update=replace(change.update, tables=exact)))
    assert_equal(Reader(memory).load().parameters, model.parameters)


def test_arrays_for_numpy_have_the_names_of_the_format(memory: Store) -> None:
    model = state(torch.bfloat16)
    writer(memory).start(replace(model, serving=served(model)), {}, RESIDUAL)
    version = Reader(memory).load()
    parameters, serving = version.arrays(), version.arrays(serving=True)
    columns = {f"{table}.{column}" for table in ("user", "item", "genre") for column in ("embedding", "bias", "field")}
    assert set(parameters) == set(serving) == columns | {"shared.weight", "shared.scale"}
    np.testing.assert_array_equal(parameters["genre.field"], model.parameters.tables["genre"][:, 3:].float().numpy())
    np.testing.assert_array_equal(serving["user.bias"], 2 * parameters["user.bias"])


def served(model: FullState) -> Parameters:
    serving = serving_of(CONFIG, model.parameters, model.dataset.train)
    assert serving is not None
    return serving


def test_what_scores_pairs_is_whole_in_every_version_and_only_the_target_s_is_read(memory: Store) -> None:
    model, by = state(), writer(memory)
    manifest = by.start(replace(model, serving=served(model)), {}, RESIDUAL)
    held = Reader(memory).load()
    assert_equal(held.serving, served(model))
    for user in (1, 2):
        change = forgets(model, user)
        manifest = by.commit(manifest, replace(change, serving=served(model)))
        assert_equal(Reader(memory).load().serving, served(model))
    store = RecordingStore(memory)
    assert_equal(Reader(store).advance(held).serving, served(model))
    read = [path for operation, path in store.calls if operation == "get" and path.endswith("serving.safetensors")]
    assert read == [manifest.file("serving").path]
    by.commit(manifest, forgets(model, 3))
    assert_equal(Reader(memory).advance(held).serving, model.parameters)


def test_a_graph_model_is_served_by_the_rows_that_it_passed_along(memory: Store) -> None:
    config, dataset = LightGCNConfig(rank=4, l2=0.1), Live.new().dataset
    parameters = Live.new().tables
    serving = serving_of(config, parameters, dataset.train)
    writer(memory).start(FullState(config, parameters, dataset, serving), {}, RESIDUAL)
    version = Reader(memory).load()
    assert_equal(version.parameters, parameters)
    assert_equal(version.serving, model_of(config).serving(version.parameters, version.dataset.train))
    assert not torch.equal(version.serving.user, version.parameters.user)


def test_a_model_whose_own_rows_score_pairs_stores_them_once(memory: Store) -> None:
    live = Live.new()
    config = MFConfig(rank=3, l2=0.1, bias=True)
    assert serving_of(config, live.tables, live.dataset.train) is None
    assert live.start(writer(memory)).find("serving") is None
    version = Reader(memory).load()
    assert version.serving is version.parameters


def test_offsets_of_loss_derivatives_survive_deltas_and_full_versions(memory: Store) -> None:
    model, by, reader = state(), writer(memory), Reader(memory)
    manifest = by.start(model, {}, RESIDUAL)
    for user, full in ((1, False), (2, True), (3, False)):
        before = offsets(model.dataset)
        manifest = by.commit(manifest, forgets(model, user, full=model if full else None))
        assert 0 < len(offsets(model.dataset)) < len(before)
        np.testing.assert_array_equal(offsets(reader.load().dataset), offsets(model.dataset))


FEATURES = {
    "user": pa.table({"row": pa.array([0, 1, 2, 7], pa.int32()), "age": [30, 40, 50, 60], "town": list("abcd")}),
    "item": pa.table({"row": pa.array([5, 0], pa.int64()), "year": [1999, 2001]}),
}


def test_features_are_carried_on_without_those_of_erased_entities(memory: Store) -> None:
    model, by, reader = state(features=FEATURES), writer(memory), Reader(memory)
    manifest = by.start(model, {}, RESIDUAL)
    assert reader.load().features["user"].to_pydict() == FEATURES["user"].to_pydict()
    for user, full in ((1, False), (2, True), (0, False)):
        manifest = by.commit(manifest, forgets(model, user, full=model if full else None))
    stored, features = reader.load().stored_features, reader.load().features
    assert features["user"].to_pydict() == {"row": [7], "age": [60], "town": ["d"]}
    assert features["item"].to_pydict() == {"row": [5, 0], "year": [1999, 2001]}
    # Neither does the file hold what was erased before it was written.
    assert stored["user"]["row"].to_pylist() == [0, 7]


@pytest.mark.parametrize("rows", [[0, 0], [8], [-1], [0.5]])
def test_features_of_rows_that_are_not_there_are_refused(memory: Store, rows: list[int]) -> None:
    features = {"user": pa.table({"row": rows})}
    with pytest.raises(ValueError, match="whole numbers below 8, each at most once"):
        writer(memory).start(state(features=features), {}, RESIDUAL)


def test_buffers_are_in_a_delta_only_where_they_have_changed(memory: Store) -> None:
    means = torch.full((3,), 0.5), torch.full((3,), 0.7)
    first, second = ({"mean": mean, "tied": mean, "seen": torch.tensor(9)} for mean in means)
    model, by, reader = state(buffers=first), writer(memory), Reader(memory)
    manifests = [by.start(model, {}, RESIDUAL)]
    for user, buffers in ((1, None), (2, second), (3, None)):
        manifests.append(by.commit(manifests[-1], forgets(model, user, buffers=buffers)))
    assert [manifest.find("buffers") is not None for manifest in manifests] == [True, False, True, False]
    for version, expected in ((2, first), (3, second), (4, second)):
        for read in (reader.load(version), reader.advance(reader.load(1), version)):
            assert {name: tensor.tolist() for name, tensor in read.buffers.items()} == {
                name: tensor.tolist() for name, tensor in expected.items()
            }
            assert read.buffers["seen"].dtype == torch.int64


def test_a_full_version_of_another_model_is_reloaded(memory: Store) -> None:
    model, by, live = state(), writer(memory), Live.new()
    first = by.start(model, {}, RESIDUAL)
    held = Reader(memory).load()
    manifest = by.commit(first, forgets(model, 1, full=live.state()))
    by.commit(manifest, live.erase(2))
    advanced = Reader(memory).advance(held)
    assert (held.manifest.model, advanced.manifest.model) == (CONFIG, live.state().config)
    assert_equal(advanced.parameters, live.tables)


def test_a_model_that_nobody_registered_is_named_with_the_manifest_that_names_it(memory: Store) -> None:
    Live.new().start(writer(memory))
    edited(memory, 1, lambda document: document["model"].update(name="magic", wands=7))
    with pytest.raises(UnknownModel, match=r"manifests/000000000001.json: the model 'magic' is not known; known are"):
        Reader(memory).load()


@pytest.mark.parametrize("version", [1, 2])
def test_tables_that_are_not_what_the_manifest_says_are_found(memory: Store, version: int) -> None:
    model, by = state(), writer(memory)
    by.commit(by.start(model, {}, RESIDUAL), forgets(model, 1))
    edited(memory, version, lambda document: document["tables"]["genre"].update(rows=6))
    with pytest.raises(CorruptFile, match=f"{manifest_path(version)} does not name the tables that it has"):
        Reader(memory).load(version)


def test_serving_tables_of_other_sizes_than_the_parameters_are_found(memory: Store) -> None:
    model, by = state(), writer(memory)
    tables = dict(model.parameters.tables)
    fewer = Parameters(tables | {"item": tables["item"][:4]}, model.parameters.shared)
    manifest = by.start(replace(model, serving=fewer), {}, RESIDUAL)
    with pytest.raises(CorruptFile, match=r"has \[8, 4, 5\] rows, the parameters \[8, 6, 5\]") as corrupt:
        Reader(memory).load()
    assert corrupt.value.path == manifest.file("serving").path


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("user.rows", [8], "holds no delta of this format"),
        ("genre.rows", [1, 5], "holds no delta of this format"),
        ("genre.rows", [-1, 3], "holds no delta of this format"),
        ("genre.rows", [1, 2, 3], "holds no delta of this format"),
        ("shared.scale", [1.0, 2.0], "holds no delta of this format"),
        ("erased.train", [10_000], "does not fit the version before it"),
    ],
)
def test_a_delta_that_does_not_fit_its_tables_is_found(
    memory: Store, name: str, value: list[float], message: str
) -> None:
    model, by = state(), writer(memory)
    file = by.commit(by.start(model, {}, RESIDUAL), forgets(model, 1)).file("delta")
    data = save(load(memory.get(file.path)) | {name: torch.tensor(value)})
    memory.put(file.path, data)

    def sign(document: dict[str, Any]) -> None:
        [entry] = [each for each in document["files"] if each["role"] == "delta"]
        entry.update(sha256=hashlib.sha256(data).hexdigest(), size=len(data))

    edited(memory, 2, sign)
    with pytest.raises(CorruptFile, match=message) as corrupt:
        Reader(memory).load()
    assert corrupt.value.path == file.path


def edited(memory: Store, version: int, edit: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(memory.get(manifest_path(version)))
    edit(document)
    memory.put(manifest_path(version), json.dumps(document).encode())
