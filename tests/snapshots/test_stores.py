"""What every store promises, whatever is behind it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from ifru.snapshots import AlreadyExists, NotFound, Store, StoreError, open_store, probe
from tests.fixtures.failing_store import RecordingStore


@pytest.mark.parametrize("size", [0, 1, 11_000_000])
def test_a_file_reads_back_as_it_was_written(store: Store, size: int) -> None:
    data = os.urandom(min(size, 1000)) * (size // 1000 + 1)
    store.put("model/a/b.bin", data)
    assert store.get("model/a/b.bin") == data
    assert store.exists("model/a/b.bin")


def test_putting_a_file_again_replaces_it(store: Store) -> None:
    store.put("HEAD.json", b"old and longer")
    store.put("HEAD.json", b"new")
    assert store.get("HEAD.json") == b"new"


def test_a_file_that_is_not_there_is_not_found(store: Store) -> None:
    store.put("model/a/b", b"")
    assert not store.exists("model/c")
    assert not store.exists("model/a")
    with pytest.raises(NotFound, match="model/c"):
        store.get("model/c")


def test_a_second_creation_is_refused_and_changes_nothing(store: Store) -> None:
    store.create("manifests/1.json", b"first")
    with pytest.raises(AlreadyExists, match=r"manifests/1\.json"):
        store.create("manifests/1.json", b"second")
    assert store.get("manifests/1.json") == b"first"


def test_of_many_creations_at_once_one_succeeds(store: Store) -> None:
    rivals, rounds = 4, 5

    def created(round_and_rival: tuple[int, int]) -> int:
        number, rival = round_and_rival
        try:
            store.create(f"manifests/{number}", str(rival).encode())
        except AlreadyExists:
            return 0
        return 1

    with ThreadPoolExecutor(rivals) as pool:
        for number in range(rounds):
            assert sum(pool.map(created, [(number, rival) for rival in range(rivals)])) == 1


def test_a_listing_names_the_files_of_a_folder_and_below_in_order(store: Store) -> None:
    for path in ("model/b/x", "model/a/y", "model/a/x", "modelling/z", "HEAD.json"):
        store.put(path, b"1")
    assert store.list("model") == ["model/a/x", "model/a/y", "model/b/x"]
    assert store.list("nothing") == []
    assert store.list("") == ["HEAD.json", "model/a/x", "model/a/y", "model/b/x", "modelling/z"]


def test_a_deleted_file_is_gone_and_deleting_it_again_is_no_error(store: Store) -> None:
    store.put("a", b"1")
    store.delete("a")
    store.delete("a")
    assert not store.exists("a")


def test_another_opening_of_the_same_url_sees_the_same_files(store_url: str) -> None:
    open_store(store_url).put("a", b"1")
    assert open_store(store_url).get("a") == b"1"
    assert not open_store(f"{store_url}-other").exists("a")


def test_a_store_that_keeps_its_promise_passes_the_probe_and_is_left_empty(store: Store) -> None:
    probe(store, "name")
    assert store.list("") == []


class _Overwriting(RecordingStore):
    """A store that takes no notice of conditions."""

    def create(self, path: str, data: bytes) -> None:
        self.put(path, data)


class _CheckingFirst(RecordingStore):
    """A store that looks whether there is a file and then writes, so that rivals overtake each other."""

    def __init__(self, inner: Store, rivals: int) -> None:
        super().__init__(inner)
        self._all_have_looked = Barrier(rivals)

    def create(self, path: str, data: bytes) -> None:
        if self.exists(path):
            raise AlreadyExists(path)
        self._all_have_looked.wait()
        self.put(path, data)


@pytest.mark.parametrize("store_without", [_Overwriting, lambda inner: _CheckingFirst(inner, 4)])
def test_the_probe_refuses_a_store_without_conditional_writes(memory: Store, store_without: type) -> None:
    with pytest.raises(StoreError, match="conditional writes are not supported"):
        probe(store_without(memory), "name")


def test_what_a_crash_left_half_written_is_never_listed_or_read(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}")
    store.put("model/a", b"1")
    (tmp_path / ".staging" / "left").write_bytes(b"half")
    assert store.list("") == ["model/a"]


def test_a_local_store_leaves_nothing_behind_where_a_write_fails(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}")
    store.create("a", b"1")
    with pytest.raises(AlreadyExists):
        store.create("a", b"2")
    with pytest.raises(StoreError, match="a/b: cannot write it: File exists"):
        store.put("a/b", b"3")
    assert list((tmp_path / ".staging").iterdir()) == []


@pytest.mark.parametrize(
    "url",
    ["folder", "/folder", "ftp://bucket/prefix", "file://host/folder", "file://", "s3:///a", "gs:///a", "az:///a"],
)
def test_a_url_of_another_form_is_refused_with_the_form_that_is_allowed(url: str) -> None:
    with pytest.raises(StoreError, match=r"file:///absolute/folder|(s3|gs|az)://bucket/prefix"):
        open_store(url)


def test_a_bucket_that_does_not_answer_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(StoreError, match=r"s3://bucket/prefix/a: cannot read it"):
        open_store("s3://bucket/prefix", retry_seconds=0.1).get("a")
