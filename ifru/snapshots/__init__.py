"""Versions of a model in a store: the only part of the library that touches storage."""

from ifru.snapshots.answered import First, Remembered, Run, State
from ifru.snapshots.audit import Audit, Finding, audit
from ifru.snapshots.change import Change, FullState, serving_of
from ifru.snapshots.checkpoint import restore
from ifru.snapshots.debt import debt_buffers, debt_of
from ifru.snapshots.erased import Erased, erased_by
from ifru.snapshots.errors import CommitLost, CommitUnknown, CorruptFile, ForkedHistory, HistoryReplaced, NoVersion
from ifru.snapshots.format import Manifest, encode_tombstone
from ifru.snapshots.hash_key import event_hash, fingerprint, key_id, read_hash_key
from ifru.snapshots.parts import Event, File, Held, Residual, Segment
from ifru.snapshots.reader import Reader
from ifru.snapshots.sources import Position, Source
from ifru.snapshots.version import Version
from ifru.snapshots.writer import Writer
from ifru.stores.errors import AlreadyExists, NotFound, StoreError
from ifru.stores.probe import probe
from ifru.stores.store import Store, open_store

__all__ = [
    "AlreadyExists",
    "Audit",
    "Change",
    "CommitLost",
    "CommitUnknown",
    "CorruptFile",
    "Erased",
    "Event",
    "File",
    "Finding",
    "First",
    "ForkedHistory",
    "FullState",
    "Held",
    "HistoryReplaced",
    "Manifest",
    "NoVersion",
    "NotFound",
    "Position",
    "Reader",
    "Remembered",
    "Residual",
    "Run",
    "Segment",
    "Source",
    "State",
    "Store",
    "StoreError",
    "Version",
    "Writer",
    "audit",
    "debt_buffers",
    "debt_of",
    "encode_tombstone",
    "erased_by",
    "event_hash",
    "fingerprint",
    "key_id",
    "open_store",
    "probe",
    "read_hash_key",
    "restore",
    "serving_of",
]
