"""Versions of a model in a store: the only part of the library that touches storage."""

from ifru.snapshots.change import Change, FullState
from ifru.snapshots.errors import (
    AlreadyExists,
    CommitLost,
    CommitUnknown,
    CorruptFile,
    NotFound,
    NoVersion,
    StoreError,
)
from ifru.snapshots.format import File, Manifest, Residual
from ifru.snapshots.hash_key import event_hash, read_hash_key
from ifru.snapshots.reader import Reader
from ifru.snapshots.version import Version
from ifru.snapshots.writer import Writer
from ifru.stores.probe import probe
from ifru.stores.store import Store, open_store

__all__ = [
    "AlreadyExists",
    "Change",
    "CommitLost",
    "CommitUnknown",
    "CorruptFile",
    "File",
    "FullState",
    "Manifest",
    "NoVersion",
    "NotFound",
    "Reader",
    "Residual",
    "Store",
    "StoreError",
    "Version",
    "Writer",
    "event_hash",
    "open_store",
    "probe",
    "read_hash_key",
]
