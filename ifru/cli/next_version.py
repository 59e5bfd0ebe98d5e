"""A model that was computed as a whole becomes the next version: at once, or as a candidate for who writes there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

import typer

from ifru.errors import IfruError
from ifru.snapshots import Change, CommitLost, FullState, Manifest, Reader, Residual, Store, Writer, candidates
from ifru.snapshots.by_command import change_to, commit
from ifru.snapshots.ledger_runs import remembered
from ifru.suppression import Suppression

AsCandidate = Annotated[
    bool,
    typer.Option("--candidate", help="Leave it for a daemon that works there, which brings it up to date first."),
]


def next_version(
    store: Store,
    parent: Manifest,
    state: FullState,
    residual: Residual,
    quality: Mapping[str, float],
    suppression: Suppression,
    as_candidate: bool,
) -> dict[str, object]:
    """Publish a whole state after `parent`, or leave it beside; returns what is to be said of it.

    suppression: of `parent`. Raises IfruError where another version was committed meanwhile, and what a commit raises.
    """
    name = candidates.new_name(parent)
    if as_candidate:
        candidates.leave(store, name, parent, state, residual, quality, datetime.now(UTC))
        return {"version": None, "candidate": name, "after": parent.version}
    reader = Reader(store)
    answered = remembered(reader, parent, suppression.key)
    change = change_to(state, reader, parent, residual, quality, answered, suppression.whole)
    what_else = ", or leave the model for it with --candidate"
    return {"version": committed(store, parent, change, name, what_else), "candidate": None, "after": parent.version}


def committed(store: Store, parent: Manifest, change: Change, attempt: str, what_else: str = "") -> int:
    """The version that was committed after `parent`. attempt: a new name. what_else: can be done but to stop a daemon.

    Raises IfruError where another one was committed meanwhile, and what a commit raises.
    """
    try:
        return commit(store, Writer(store, lambda: datetime.now(UTC), lambda: attempt), parent, change).version
    except CommitLost as error:
        raise IfruError(
            f"version {error.version} was committed meanwhile, by a daemon that works there; nothing was published. "
            f"Stop it first{what_else}"
        ) from error
