"""Exit codes: what a supervisor goes by."""

from __future__ import annotations

import pytest

from ifru.errors import IfruError
from ifru.snapshots import CommitLost, CommitUnknown, NoVersion, StoreError
from ifrud.exits import Exit, exit_for
from ifrud.problems import InvalidSettings
from ifrud.streams.outboxes import OutboxError
from ifrud.streams.sources import LostEventsError, SourceError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidSettings(["x"]), 2),
        (CommitLost(3, "a"), 3),
        (CommitUnknown(3, "a", "time-out"), 4),
        (SourceError("x"), 5),
        (LostEventsError([]), 5),
        (OutboxError("x"), 5),
        (StoreError("x"), 5),
        (NoVersion("x"), 5),
    ],
)
def test_every_kind_of_end_has_its_code(error: IfruError, code: int) -> None:
    assert exit_for(error) == code
    assert code in set(Exit)
