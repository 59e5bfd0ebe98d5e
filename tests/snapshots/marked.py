"""A marked user who has asked to be forgotten: what betrays them, wherever it lies in a store."""

from __future__ import annotations

import hashlib
import io
import json

import numpy as np
import pyarrow.parquet as pq
from safetensors.torch import load

from ifru.snapshots import Reader, Store
from ifru.stores.local import STAGING
from tests.daemon.world import World, erase_pairs, erase_user, pairs

MARKED = 17
SMALL = 100
"""Bytes of what a killed process left, and no safetensors file has."""

NAME = f"user {MARKED}"
NOW = {"full_after_s": 0, "purge_receipts_s": 0}


class Marks:
    """What betrays the marked user: id, hashes of it without a key, their row of the tables, their interactions."""

    def __init__(self, store: Store) -> None:
        version = Reader(store).load(1)
        self.row = version.dataset.users.row(NAME)
        rows = [table.numpy()[self.row] for table in (version.parameters.user,)]
        hashes = [hashlib.new(kind, NAME.encode()).digest() for kind in ("md5", "sha1", "sha256", "sha512", "blake2b")]
        self.bytes = [
            NAME.encode(),
            *hashes,
            *(digest.hex().encode() for digest in hashes),
            *(row.astype(kind).tobytes() for row in rows for kind in (np.float32, np.float64)),
        ]

    def found(self, store: Store) -> list[str]:
        """Objects that hold any of it."""
        return [path for path in [*store.list(""), *store.list(STAGING)] if self._in(path, store.get(path))]

    def _in(self, path: str, data: bytes) -> bool:
        if path.endswith(".parquet"):
            columns = pq.read_table(io.BytesIO(data)).to_pydict()
            if {"user", "item"} <= columns.keys():
                return self.row in columns["user"]
            return self._in("", json.dumps(columns, default=str).encode())
        if path.endswith(".safetensors"):
            tensors = load(data) if len(data) > SMALL else {}
            table = tensors.get("user.embedding")
            if "user.rows" not in tensors and table is not None and bool(table[self.row].any()):
                return True
        return any(mark in data for mark in self.bytes)


def forgotten(world: World) -> None:
    """The user asks for some pairs and then for all; others ask too; and a killed process has left what it wrote."""
    some = [pair for pair in pairs(world.newest().dataset) if pair[0] == NAME][:3]
    world.submit(erase_user("r1", 3), erase_pairs("r2", some), erase_user("r3", MARKED), erase_user("r4", 5))
    world.drain(batch={"max_requests": 1, "max_backlog": 1}, **NOW)
    world.submit(erase_user("r5", 6))
    world.drain(full_after_s=10**6)
    for path in (
        "model/000000000003-dead/delta.safetensors",
        "ledger/000000000003-dead.jsonl",
        f"{STAGING}/of-the-dead",
    ):
        world.store.put(path, NAME.encode())
