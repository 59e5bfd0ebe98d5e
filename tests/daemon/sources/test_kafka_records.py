"""Record batches with everything that a producer may put in them, as a broker hands them out."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.util import calc_crc32c

from ifrud.streams.sources.kafka_records import Batches, Unreadable

LIMIT = 10_000
Headers = Sequence[tuple[str, bytes | None]]
ZSTD = 4


def batch(first: int, values: Sequence[bytes | None], headers: Headers = (), codec: int = 0) -> bytearray:
    """A batch as a producer builds it, at an offset that the broker gave it."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=2**31,
    )
    for number, value in enumerate(values):
        builder.append(number, 1000 + number, b"key", value, list(headers))
    built: bytearray = builder.build()
    # The first eight bytes are the offset of the first record, and no part of the checksum.
    built[:8] = first.to_bytes(8, "big")
    return built


def read(*batches: bytes, suspects: set[int] | None = None) -> list[Any]:
    reader = Batches(MemoryRecords(b"".join(batches)), LIMIT, set() if suspects is None else suspects)
    records: list[Any] = []
    while (found := reader.next_batch()) is not None:
        records += found
    return records


def problems(record: Any) -> list[Unreadable]:
    return [name for name, _ in record.headers if isinstance(name, Unreadable)]


def checksummed(damaged: bytearray) -> bytearray:
    """With the checksum of what is in it, as of a producer that wrote it like this."""
    damaged[17:21] = calc_crc32c(memoryview(damaged)[21:]).to_bytes(4, "big")
    return damaged


@pytest.mark.parametrize("codec", range(5))
def test_records_come_as_they_were_sent(codec: int) -> None:
    headers = [("ce_id", b"1"), ("é", None), ("ce_id", b"\xff")]
    found = read(batch(7, [b"a", None, b""], headers, codec), batch(10, [b"b"], (), codec))
    assert [(record.offset, record.key, record.value) for record in found] == [
        (7, b"key", b"a"),
        (8, b"key", None),
        (9, b"key", b""),
        (10, b"key", b"b"),
    ]
    assert [record.headers for record in found] == [headers] * 3 + [[]]
    assert [record.timestamp for record in found] == [1000, 1001, 1002, 1000]


def test_a_header_name_that_is_no_utf8_concerns_its_record_alone() -> None:
    content = batch(7, [b"a", b"b"], [("name", b"value")])
    second = content.rindex(b"name")
    content[second : second + 4] = b"\xff\xfeme"
    before, after = read(checksummed(content))
    assert problems(before) == []
    assert after.value == b"b"
    assert after.headers[0] == ("\\xff\\xfeme", b"value")
    (problem,) = problems(after)
    assert (problem.field, problem.first, str(problem)) == ("headers", 8, "one has a name that is not UTF-8")


@pytest.mark.parametrize("codec", range(1, 5))
def test_a_batch_beyond_the_limit_is_one_record_and_the_next_one_is_read(codec: int) -> None:
    instead, after = read(batch(7, [b"x" * 6000, b"x" * 6000], (), codec), batch(9, [b"b"]))
    assert (instead.offset, instead.key, instead.value) == (8, None, None)
    (problem,) = problems(instead)
    assert (problem.field, problem.first) == ("record", 7)
    assert "up to offset 8: their batch has more than 10000 bytes once decompressed" in problem
    assert after.value == b"b"


def test_a_batch_at_the_limit_is_read() -> None:
    (record,) = read(batch(0, [b"x" * 9900], (), ZSTD))
    assert len(record.value) == 9900


def test_what_is_damaged_ends_the_batch_and_the_next_one_is_read() -> None:
    content = batch(7, [b"aaaa", b"bbbb", b"cccc"])
    at = content.index(b"bbbb") - 1
    content[at] = 0x7E  # so the value of the second record has 63 bytes
    first, instead, after = read(checksummed(content), batch(10, [b"d"]))
    assert (first.offset, instead.offset, after.offset) == (7, 9, 10)
    (problem,) = problems(instead)
    assert (problem.field, problem.first) == ("record", 8)
    assert "is damaged (ValueError: " in problem


def test_compressed_data_that_is_none_is_one_record() -> None:
    content = batch(7, [b"a" * 100], (), ZSTD)
    content[61:] = bytes(len(content) - 61)
    (instead,) = read(checksummed(content))
    assert "is damaged" in problems(instead)[0]


def test_a_wrong_checksum_is_asked_for_again_once() -> None:
    good, damaged, suspects = batch(7, [b"a"]), batch(8, [b"b"]), set[int]()
    damaged[-3] ^= 1
    assert [record.value for record in read(good, damaged, batch(9, [b"c"]), suspects=suspects)] == [b"a"]
    instead, after = read(damaged, batch(9, [b"c"]), suspects=suspects)
    assert "has a wrong checksum" in problems(instead)[0]
    assert instead.offset == 8
    assert after.value == b"c"
    assert read(batch(8, [b"b"]), suspects=suspects)[0].value == b"b"


@pytest.mark.parametrize("seed", range(300))
def test_no_byte_that_is_changed_stops_the_reader(seed: int) -> None:
    """Whatever a producer writes, offsets ascend, and the batch behind it is read."""
    random = Random(seed)
    content = batch(7, [b"value"] * 5, [("name", b"value")], random.choice(range(5)))
    for _ in range(random.randint(1, 4)):
        content[random.randrange(61, len(content))] = random.randrange(256)
    *found, last = read(checksummed(content), batch(12, [b"after"]))
    assert last.value == b"after"
    offsets = [record.offset for record in found]
    assert offsets == sorted(set(offsets) & set(range(7, 12)))
