"""Which supports a model and its base allow."""

from __future__ import annotations

from ifru.engine.settings import SupportName
from ifru.errors import IfruError
from ifru.objective import Capabilities


class UnsupportedSupport(IfruError):
    """A support that a model does not offer."""

    def __init__(self, support: str, model: str, offered: str) -> None:
        super().__init__(
            f"engine.support is {support!r}, which needs a stationary base of a model whose scores depend on their own "
            f"two rows; allowed here, with {model}, are {offered}"
        )


def check_support(support: SupportName, capabilities: Capabilities, model: str) -> None:
    """Raises UnsupportedSupport. model: its name."""
    offered = ("auto", "push", "global") if capabilities.response else ("auto", "k_hop", "global")
    if not capabilities.row_local and support not in offered:
        raise UnsupportedSupport(support, model, f"{', '.join(offered[:-1])} and {offered[-1]}")
