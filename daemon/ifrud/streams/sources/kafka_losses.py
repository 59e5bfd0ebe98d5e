"""What of a topic is gone, by what a version recorded of it."""

from __future__ import annotations

from collections.abc import Mapping

from ifru.snapshots.sources import Position
from ifru.snapshots.sources import Source as Recorded
from ifrud.streams.sources.kafka_topic import Topic
from ifrud.streams.sources.loss import Loss, LostRange

_BEGINNING = Position(next=0)


def losses(topic: Topic, recorded: Recorded, partitions: set[int]) -> list[Loss]:
    """Why reading cannot go on from what was recorded; nothing where it can. Takes the places of the topic's reader.

    partitions: that the topic has; one that was not recorded starts at 0.
    """
    begins = topic.begins(partitions)
    if why := _another(topic, recorded, partitions):
        return [_replaced(topic, recorded, begins, why)]
    positions = {p: recorded.partitions.get(p, _BEGINNING) for p in sorted(partitions)}
    gaps = [LostRange(p, at.next, begins[p] - 1) for p, at in positions.items() if at.next < begins[p]]
    ends = topic.ends(partitions)
    short = {p: None for p, at in positions.items() if at.next > ends[p]}
    cuts = short | _cuts(topic, positions)
    return [
        *([_removed(topic, gaps)] if gaps else []),
        *(_cut(topic, p, positions[p], where, begins[p]) for p, where in sorted(cuts.items())),
    ]


def _another(topic: Topic, recorded: Recorded, partitions: set[int]) -> str | None:
    """Why the topic is not the one that was recorded."""
    if recorded.kind not in (None, "kafka"):
        return "what was read before is a file"
    found = topic.cluster_id, topic.topic_id
    for what, then, now in zip(("cluster", "topic"), (recorded.cluster_id, recorded.topic_id), found, strict=True):
        if None not in (then, now) and then != now:
            return f"the {what} that was read has the id {then}, and this one has {now}"
    unknown = sorted(recorded.partitions.keys() - partitions)
    return f"partition {unknown[0]} was read, and this one has {len(partitions)} partitions" if unknown else None


def _replaced(topic: Topic, recorded: Recorded, begins: Mapping[int, int], why: str) -> Loss:
    read = ", ".join(f"offset {at.next} of partition {p}" for p, at in sorted(recorded.partitions.items()))
    gone = [LostRange(p, 0, begin - 1) for p, begin in sorted(begins.items()) if begin > 0]
    also = f"; of the present topic, {_ranges(gone)} are gone as well" if gone else ""
    return Loss(
        text=f"Kafka topic {topic.name!r} is not the one that was read: {why}; it was made anew, and what the other "
        f"one held from {read or 'its beginning'} on is lost{also}",
        facts=(
            *("another", topic.name, recorded.model_dump(mode="json"), topic.cluster_id, topic.topic_id),
            [[lost.partition, lost.last] for lost in gone],
        ),
        resume={p: Position(next=begin) for p, begin in begins.items()},
        ranges=tuple(gone),
    )


def _removed(topic: Topic, gaps: list[LostRange]) -> Loss:
    return Loss(
        text=f"Kafka topic {topic.name!r} has lost events that were never read: {_ranges(gaps)}",
        facts=("removed", topic.name, topic.topic_id, [[lost.partition, lost.first, lost.last] for lost in gaps]),
        resume={lost.partition: Position(next=lost.last + 1) for lost in gaps},
        ranges=tuple(gaps),
    )


def _cuts(topic: Topic, positions: Mapping[int, Position]) -> dict[int, tuple[int, int] | None]:
    known = {p: at for p, at in positions.items() if at.next > 0 and at.leader_epoch is not None}
    if not known:
        return {}
    topic.assign(known)
    for partition, at in known.items():
        topic.seek(partition, at.next, at.leader_epoch)
    return topic.cuts(known)


def _cut(topic: Topic, partition: int, position: Position, where: tuple[int, int] | None, begin: int) -> Loss:
    """where: offset and leader epoch; None where the log is too short, or other events are there, since somewhere."""
    offset, epoch = where or (begin, None)
    since = "at an offset that is not known" if where is None else f"at offset {offset}"
    return Loss(
        text=f"Kafka topic {topic.name!r} was read up to offset {position.next} of partition {partition}, and was cut "
        f"back {since} (an unclean leader election, or a broker that lost its disk): what followed is lost, and other "
        "events may have taken its place",
        facts=("cut", topic.name, topic.topic_id, partition, position.model_dump(mode="json"), where),
        # Of what retention has removed behind the cut, the epoch is not known.
        resume={partition: Position(next=offset, leader_epoch=epoch) if begin <= offset else Position(next=begin)},
    )


def _ranges(ranges: list[LostRange]) -> str:
    return ", ".join(f"partition {lost.partition} offsets {lost.first} to {lost.last}" for lost in ranges)
