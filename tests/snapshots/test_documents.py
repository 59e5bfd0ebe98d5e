"""Documents that nobody of ours wrote: whatever they hold, readers say which one it is, or do without."""

from __future__ import annotations

import json

import pytest

from ifru.snapshots import CorruptFile, Reader, Store, read_hash_key
from ifru.snapshots.format import HEAD, encode_head, manifest_path
from ifru.snapshots.hash_key import HASH_KEY
from tests.snapshots.cases import Live, writer

NESTED = b"[" * 200_000
HINTS = [NESTED, encode_head(10**400), encode_head(10**12), b'{"version": 1e999}', b"\xff\xfe"]


@pytest.mark.parametrize("hint", HINTS)
def test_a_hint_that_cannot_be_read_is_no_hint(store: Store, hint: bytes) -> None:
    Live.new().start(writer(store))
    store.put(HEAD, hint)
    assert Reader(store).newest() == 1


@pytest.mark.parametrize("content", [NESTED, b"{}", b'{"key": 7}', b'{"key": "ab"}', b"\xff"])
def test_a_key_that_is_none_is_named(memory: Store, content: bytes) -> None:
    memory.put(HASH_KEY, content)
    with pytest.raises(CorruptFile, match=rf"^{HASH_KEY} holds "):
        read_hash_key(memory)


@pytest.mark.parametrize(
    "numbers", [{"base": 3}, {"base": 2}, {"base": 10**400}, {"parent": 5}, {"parent": None}, {"claims": 2}]
)
def test_a_manifest_that_stands_on_versions_that_are_not_before_it_is_found(
    memory: Store, numbers: dict[str, int | None]
) -> None:
    live, by = Live.new(), writer(memory)
    by.commit(live.start(by), live.erase(1))
    document = json.loads(memory.get(manifest_path(2)))
    memory.put(manifest_path(2), json.dumps(document | numbers).encode())
    with pytest.raises(CorruptFile, match=rf"^{manifest_path(2)} is a delta version 2 that names the parent"):
        Reader(memory).load()
