"""A partition that was cut back, and from which retention has removed what came after the cut."""

from __future__ import annotations

from random import Random

import pytest

from ifru.snapshots import Position
from ifru.snapshots import Source as Recorded
from ifrud.streams.sources import LostEventsError
from tests.simulation.broker import Broker, Log, Record
from tests.simulation.requests import Sent

SENT = Sent(0, b"{}", None, None, frozenset())


def test_once_the_loss_is_accepted_it_is_not_found_again() -> None:
    broker = Broker(Random(0))
    # Epoch 0 ended at offset 3; of epoch 1 the record at 3 is gone too.
    broker.logs[1] = Log([Record(1, at, 1, b"{}", SENT) for at in (4, 5)], begin=4, starts={0: 0, 1: 3}, epoch=1)
    position = Position(next=6, leader_epoch=0)
    read = Recorded(kind="kafka", cluster_id="cluster", topic_id="topic-0", partitions={1: position})

    with pytest.raises(LostEventsError) as lost:
        broker.source(lambda: 0.0, lambda seconds: None, None).seek(read)
    source = broker.source(lambda: 0.0, lambda seconds: None, lost.value.word)
    accepted = source.recorded(source.seek(read))
    assert accepted.partitions[1] == Position(next=4)

    again = broker.source(lambda: 0.0, lambda seconds: None, None)
    assert again.seek(accepted) == {0: 0, 1: 4}
    assert [event.offset for event in again.poll(10, 0.0)] == [4, 5]
