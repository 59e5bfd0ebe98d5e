"""Kafka's four ways of compression, undone up to a bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from gzip import GzipFile
from io import BytesIO
from typing import Protocol

import snappy
from lz4.frame import LZ4FrameFile
from zstandard import ZstdDecompressor

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4

_CHUNK = 256 * 1024
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER = 16
_SIZE = 4


class TooLarge(ValueError):
    """What was compressed is larger than the bound."""


class _Stream(Protocol):
    def read(self, size: int) -> bytes: ...


_STREAMS: Mapping[int, Callable[[BytesIO], _Stream]] = {
    GZIP: lambda data: GzipFile(fileobj=data),
    LZ4: LZ4FrameFile,
    ZSTD: lambda data: ZstdDecompressor().stream_reader(data, read_across_frames=True),
}


def decompressed(codec: int, data: bytes, limit: int) -> bytearray:
    """What was compressed. codec: its number in a record batch. limit: bytes.

    Holds at most `limit` bytes and some. Raises TooLarge beyond that, and whatever the codec raises for damaged data.
    """
    out = bytearray()
    if codec == SNAPPY:
        blocks = _xerial_blocks(data) if data.startswith(_XERIAL) else [data]
        for block in blocks:
            if len(out) + _snappy_size(block) > limit:
                raise TooLarge
            out += snappy.decompress(block)
    elif codec in _STREAMS:
        stream = _STREAMS[codec](BytesIO(data))
        while chunk := stream.read(_CHUNK):
            out += chunk
            if len(out) > limit:
                raise TooLarge
    else:
        raise ValueError(f"compression {codec} is not known")
    return out


def _xerial_blocks(data: bytes) -> list[bytes]:
    """Snappy as Java clients frame it: a header, then blocks with their sizes before them."""
    blocks, at = [], _XERIAL_HEADER
    while at < len(data):
        size = int.from_bytes(data[at : at + _SIZE], "big")
        at += _SIZE
        if size > len(data) - at:
            raise ValueError("a block of snappy is cut off")
        blocks.append(data[at : at + size])
        at += size
    return blocks


def _snappy_size(block: bytes) -> int:
    """The size that a block declares, which the library allocates at once."""
    size = 0
    for place, byte in enumerate(block[:5]):
        size |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return size
    raise ValueError("a block of snappy has no size")
