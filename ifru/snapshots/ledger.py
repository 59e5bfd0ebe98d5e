"""The receipts of a version: lines of JSON, chained by hash to those of the version before."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

LEDGER: Final = "ledger"


def encode_ledger(previous: str | None, receipts: Sequence[bytes]) -> bytes:
    """A first line with the SHA-256 of the parent's ledger file (null for the first version), then the receipts.

    Raises ValueError for a receipt of more than one line.
    """
    if any(b"\n" in receipt for receipt in receipts):
        raise ValueError("a receipt is one line")
    return b"\n".join([json.dumps({"previous": previous}).encode(), *receipts, b""])


def decode_ledger(data: bytes) -> list[bytes]:
    """The receipts."""
    return data.split(b"\n")[1:-1]


def ledger_version(path: str) -> int | None:
    """The version of a path among the ledgers, or that somebody tried to write; None for anything else there."""
    match = re.fullmatch(rf"{LEDGER}/(\d{{12}})-[^/]+\.jsonl", path)
    return None if match is None else int(match[1])
