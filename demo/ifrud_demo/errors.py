"""What can go wrong in a demo."""

from __future__ import annotations

from ifru.errors import IfruError


class DemoError(IfruError):
    """The daemon did not do what it was started for."""
