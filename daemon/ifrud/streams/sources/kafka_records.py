"""Records of a fetched answer, read so that nothing in them can stop the reader.

The client decodes whole batches inside of its poll: one record whose headers it cannot decode, or a batch that
decompresses without bounds, would end every start at the same place. Here such a record, or batch, is delivered as one
that says what is wrong with it, in a header whose name is `Unreadable`.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableSet
from typing import Any

from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint

from ifrud.streams.sources.decompression import TooLarge, decompressed


class Unreadable(str):
    """What is wrong, and with which field. first: the offset of the first event that is meant."""

    field: str
    first: int

    def __new__(cls, text: str, field: str, first: int) -> Unreadable:
        self = super().__new__(cls, text)
        self.field, self.first = field, first
        return self


class Batches:
    """Stands for the client's `MemoryRecords`.

    limit: bytes of a batch, decompressed. suspects: base offsets of batches whose checksum was wrong once.
    """

    def __init__(self, records: Any, limit: int, suspects: MutableSet[int]) -> None:
        self._records = records
        self._limit = limit
        self._suspects = suspects

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        # Formats from before Kafka 0.11, which today's brokers convert, are left to the client.
        if batch is None or batch.magic < 2:
            return batch
        if batch.validate_crc():
            return _Batch(batch, self._limit)
        if batch.base_offset not in self._suspects:
            # It may have been damaged on its way: without it, the client asks for it again.
            self._suspects.add(batch.base_offset)
            return None
        return _Damaged(batch)


class _Batch(DefaultRecordBatch):  # type: ignore[misc]
    """A batch whose records are read one by one, whatever is in them."""

    def __init__(self, batch: DefaultRecordBatch, limit: int) -> None:
        super().__init__(batch._buffer)
        self._limit = limit

    def __iter__(self) -> Iterator[DefaultRecord]:
        first = self.base_offset
        try:
            content, at = self._content(), 0
            for _ in range(self.records_count):
                record, at = _record(self, content, at)
                if not first <= record.offset <= self.last_offset:
                    raise ValueError("a record has an offset that the batch has not")
                yield record
                first = record.offset + 1
        except TooLarge:
            yield _unreadable(
                self, first, f"has more than {self._limit} bytes once decompressed (kafka.max_decompressed_bytes)"
            )
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a codec raises, it is the data that is wrong
            yield _unreadable(self, first, f"is damaged ({type(error).__name__}: {error})")

    def _content(self) -> memoryview:
        content = memoryview(self._buffer)[self._pos :]
        if not self.compression_type:
            return content
        return memoryview(decompressed(self.compression_type, content.tobytes(), self._limit))


class _Damaged(_Batch):
    """A batch of which nothing can be believed but where it lies."""

    def __init__(self, batch: DefaultRecordBatch) -> None:
        super().__init__(batch, 0)

    def __iter__(self) -> Iterator[DefaultRecord]:
        yield _unreadable(self, self.base_offset, "has a wrong checksum")

    def has_producer_id(self) -> bool:
        return False

    @property
    def is_control_batch(self) -> bool:
        return False


def _unreadable(batch: DefaultRecordBatch, first: int, why: str) -> DefaultRecord:
    """Stands for all records from `first` on; at the last offset, so that the client goes on behind the batch."""
    last = max(first, batch.last_offset)
    problem = Unreadable(f"cannot be read, with all up to offset {last}: their batch {why}", "record", first)
    return DefaultRecord(0, last, batch.max_timestamp, batch.timestamp_type, None, None, [(problem, None)])


def _record(batch: DefaultRecordBatch, data: memoryview, at: int) -> tuple[DefaultRecord, int]:
    """The record at a place, and the place after it. Raises ValueError or IndexError where it is none."""
    length, at = decode_varint(data, at)
    end = at + length
    _, at = decode_varint(data, at)
    later, at = decode_varint(data, at)
    delta, at = decode_varint(data, at)
    key, at = _bytes(data, at)
    value, at = _bytes(data, at)
    count, at = decode_varint(data, at)
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        name, at = _bytes(data, at)
        content, at = _bytes(data, at)
        headers.append(((name or b"").decode(errors="backslashreplace"), content))
        if not _is_text(name):
            problem = Unreadable("one has a name that is not UTF-8", "headers", batch.base_offset + delta)
            headers.append((problem, None))
    if at != end:
        raise ValueError("a record has not the size that it says")
    time = batch.max_timestamp if batch.timestamp_type else batch.first_timestamp + later
    record = DefaultRecord(length, batch.base_offset + delta, time, batch.timestamp_type, key, value, headers)
    return record, end


def _bytes(data: memoryview, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(data, at)
    if length == -1:
        return None, at
    if not 0 <= length <= len(data) - at:
        raise ValueError("a record has a field of impossible size")
    return data[at : at + length].tobytes(), at + length


def _is_text(name: bytes | None) -> bool:
    try:
        (name or b"").decode()
    except UnicodeDecodeError:
        return False
    return True
