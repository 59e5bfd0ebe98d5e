"""What a brake has come to: which requests are held, and how much was erased lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ifru.snapshots.parts import ErasedRows, Held


@dataclass(frozen=True)
class Holding:
    """After a version. held: all requests that are held. pending: what they ask for, a line each, in the same order; it
    is stored anew where it is not the parent's. erased_recently: rows by minute, the oldest first."""

    held: Sequence[Held] = ()
    pending: Sequence[bytes] = ()
    erased_recently: Sequence[ErasedRows] = ()


def encode_pending(lines: Sequence[bytes]) -> bytes:
    """Raises ValueError for a request of more than one line."""
    if any(b"\n" in line for line in lines):
        raise ValueError("a held request is one line")
    return b"".join(line + b"\n" for line in lines)


def decode_pending(data: bytes) -> list[bytes]:
    return data.splitlines()
