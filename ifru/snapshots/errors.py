"""What can go wrong with a version."""

from __future__ import annotations

from typing import ClassVar

from ifru.errors import IfruError


class NoVersion(IfruError):
    """There is no such version, or it was collected."""

    @staticmethod
    def yet() -> NoVersion:
        """Of a prefix without any."""
        return NoVersion("there is no version yet: train one (ifru train), or check the URL of the store")


class CorruptFile(IfruError):
    """A stored file is not what was written. `path` names it."""

    remedy: ClassVar = "restore the file from a copy, or go back to an older version"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} {reason}; {self.remedy}")
        self.path = path
        self.reason = reason


class WrongHashKey(IfruError):
    """The key of the hashes in versions is missing, or another one."""


class ForkedHistory(CorruptFile):
    """A version was not written after the one that is stored before it. `path` names its manifest."""

    remedy = "two histories lie under one prefix: restore the manifests of one of them from a copy"


class HistoryReplaced(ForkedHistory):
    """The store does not have a version any more that is held, or that the next one was to follow."""

    remedy = (
        "the store was probably restored from a backup, or its prefix started anew: "
        "drop what is held, and go on from the newest version that is there"
    )


class CommitLost(IfruError):
    """Another writer committed this version first; nothing of ours is visible to any reader.

    `attempt` names the winner; None where its version has been collected since.
    """

    def __init__(self, version: int, attempt: str | None) -> None:
        winner = "whose version was collected since" if attempt is None else f"(attempt {attempt})"
        super().__init__(
            f"version {version} was committed by another writer {winner}; "
            "only one writer may work on a prefix: stop the other one, or start this one again after it"
        )
        self.version = version
        self.attempt = attempt


class OutdatedCandidate(IfruError):
    """A candidate that was made before something was erased that is purged by now: its data may still hold that."""

    def __init__(self, name: str, cut: int, purged: int) -> None:
        super().__init__(
            f"the candidate {name} was made from version {cut}, and what versions up to {purged} erased was purged "
            "since: its data may still hold it, so they are removed and it is not adopted. Train again, and retain "
            "versions (--older-than, collect.older_than) for longer than that takes"
        )


class CommitUnknown(IfruError):
    """The store answered neither whether this version was committed nor by whom. Nothing may be cleaned up."""

    def __init__(self, version: int, attempt: str, reason: str) -> None:
        super().__init__(
            f"it is unknown whether version {version} (attempt {attempt}) was committed: {reason}; "
            "start again when the store answers: the newest version says what was done"
        )
        self.version = version
        self.attempt = attempt
