"""Versions of a model in a store: the only part of the library that touches storage."""

from ifru.snapshots import candidates
from ifru.snapshots.answered import First, Remembered, Run, State
from ifru.snapshots.audit import Audit, Finding, audit
from ifru.snapshots.change import Change, FullState, serving_of
from ifru.snapshots.checkpoint import restore
from ifru.snapshots.collector import Collection, collect
from ifru.snapshots.debt import debt_buffers, debt_of
from ifru.snapshots.erased import Erased, erased_between, erased_by
from ifru.snapshots.erasures import Erasure, erasures, waiting
from ifru.snapshots.errors import (
    CommitLost,
    CommitUnknown,
    CorruptFile,
    ForkedHistory,
    HistoryReplaced,
    NoVersion,
    WrongHashKey,
)
from ifru.snapshots.format import Manifest, encode_tombstone
from ifru.snapshots.hash_key import (
    event_hash,
    fingerprint,
    hash_key_of,
    key_id,
    outside_hash_key,
    read_hash_key,
)
from ifru.snapshots.holding import Holding
from ifru.snapshots.life import Answer, UnknownRequest, life, waits_for
from ifru.snapshots.parts import ErasedRows, Event, File, Held, ProvenBound, Residual, Segment
from ifru.snapshots.purge import Purge, newest_purge
from ifru.snapshots.reader import Reader
from ifru.snapshots.retention import Retention, duration
from ifru.snapshots.sources import Position, Source
from ifru.snapshots.suppressed import NO_TIME, NOBODY, Subject, Suppressed
from ifru.snapshots.version import Version
from ifru.snapshots.writer import Writer
from ifru.stores.errors import AlreadyExists, NotFound, StoreError
from ifru.stores.probe import probe
from ifru.stores.store import Store, open_store

__all__ = [
    "NOBODY",
    "NO_TIME",
    "AlreadyExists",
    "Answer",
    "Audit",
    "Change",
    "Collection",
    "CommitLost",
    "CommitUnknown",
    "CorruptFile",
    "Erased",
    "ErasedRows",
    "Erasure",
    "Event",
    "File",
    "Finding",
    "First",
    "ForkedHistory",
    "FullState",
    "Held",
    "HistoryReplaced",
    "Holding",
    "Manifest",
    "NoVersion",
    "NotFound",
    "Position",
    "ProvenBound",
    "Purge",
    "Reader",
    "Remembered",
    "Residual",
    "Retention",
    "Run",
    "Segment",
    "Source",
    "State",
    "Store",
    "StoreError",
    "Subject",
    "Suppressed",
    "UnknownRequest",
    "Version",
    "Writer",
    "WrongHashKey",
    "audit",
    "candidates",
    "collect",
    "debt_buffers",
    "debt_of",
    "duration",
    "encode_tombstone",
    "erased_between",
    "erased_by",
    "erasures",
    "event_hash",
    "fingerprint",
    "hash_key_of",
    "key_id",
    "life",
    "newest_purge",
    "open_store",
    "outside_hash_key",
    "probe",
    "read_hash_key",
    "restore",
    "serving_of",
    "waiting",
    "waits_for",
]
