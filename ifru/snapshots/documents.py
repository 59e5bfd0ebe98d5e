"""JSON from a store, which somebody else may have written."""

from __future__ import annotations

import json
from typing import Any


def decode_json(data: bytes) -> Any:
    """Raises ValueError for anything that is no JSON, or is nested more deeply than this process can follow."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
