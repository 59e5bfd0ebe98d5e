"""What can go wrong with a store."""

from __future__ import annotations

from ifru.errors import IfruError


class StoreError(IfruError):
    """The store did not do what it was asked to. Nothing is known about whether a write was applied."""


class NotFound(StoreError):
    """The store has no file at this path."""


class AlreadyExists(StoreError):
    """The store refused to create a file, because there is one at this path."""
