"""Exit codes of `ifrud run`, so that a supervisor knows whether starting again can help."""

from __future__ import annotations

from enum import IntEnum

from ifru.errors import DataError, IfruError
from ifru.models import UnknownModel
from ifru.snapshots import CommitLost, CommitUnknown
from ifrud.problems import InvalidSettings


class Exit(IntEnum):
    """OK: drained, or told to stop. BUG: of ifrud. SETTINGS: invalid, or naming a model that is not installed, not
    configured or cannot score its data.

    LOST: another writer published first.
    UNKNOWN: it is not known whether the last version was published; the next start finds out.
    FAILED: the source, the store or an outbox failed at the start, or while the daemon was told to stop; or events are
    lost, or too many in a row are no requests.
    """

    OK = 0
    BUG = 1
    SETTINGS = 2
    LOST = 3
    UNKNOWN = 4
    FAILED = 5


def exit_for(error: IfruError) -> Exit:
    """The exit code for an error that ended the daemon."""
    match error:
        case InvalidSettings() | UnknownModel() | DataError():
            return Exit.SETTINGS
        case CommitLost():
            return Exit.LOST
        case CommitUnknown():
            return Exit.UNKNOWN
        case _:
            return Exit.FAILED
