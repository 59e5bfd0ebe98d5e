"""How far each source was read, and what tells that it still is the same source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import NonNegativeInt, model_validator

from ifru.snapshots.parts import Part, Sha256


class Position(Part):
    """Where the next event of a partition is: a Kafka offset, or a byte in a file.

    leader_epoch: Kafka's, of the event before. before_sha256: a file's, of the 4 KiB before the position.
    """

    next: NonNegativeInt
    leader_epoch: int | None = None
    before_sha256: Sha256 | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_number(cls, given: object) -> object:
        return {"next": given} if isinstance(given, int) else given


class Source(Part):
    """What was read of a source, and which one it was. cluster_id, topic_id: Kafka's."""

    kind: Literal["kafka", "file"] | None = None
    cluster_id: str | None = None
    topic_id: str | None = None
    partitions: dict[int, Position]

    @model_validator(mode="before")
    @classmethod
    def _of_partitions(cls, given: object) -> object:
        return {"partitions": given} if isinstance(given, Mapping) and "partitions" not in given else given

    def followed_by(self, later: Source) -> Source:
        """What is known once `later` was read too; where that names no identity or partition, this one's holds.

        Of another stream than this one only `later` is known.
        """
        identities = ((self.kind, later.kind), (self.cluster_id, later.cluster_id), (self.topic_id, later.topic_id))
        if any(None not in (then, now) and then != now for then, now in identities):
            return later
        known = {name: value for name, value in later if value is not None}
        return self.model_copy(update=known | {"partitions": {**self.partitions, **later.partitions}})


def merged(parent: Mapping[str, Source], change: Mapping[str, Source | Mapping[int, int]]) -> dict[str, Source]:
    """The parent's sources, followed by those of a change. Raises ValueError for what is no position."""
    read = {name: Source.model_validate(source) for name, source in change.items()}
    return {
        **parent,
        **{name: parent[name].followed_by(later) if name in parent else later for name, later in read.items()},
    }
