"""What can make a proof impossible."""

from __future__ import annotations

from ifru.errors import IfruError


class ProofError(IfruError):
    """Parameters, interactions or a dual point about which nothing can be proven."""
