"""What is compressed comes back whole, and never larger than it may be."""

from __future__ import annotations

import tracemalloc
from gzip import compress as gzip
from random import Random

import lz4.frame
import pytest
import snappy
import zstandard
from kafka.codec import snappy_encode

from ifrud.streams.sources.decompression import GZIP, LZ4, SNAPPY, ZSTD, TooLarge, decompressed

CODECS = {
    "gzip": (GZIP, gzip),
    "two members of gzip": (GZIP, lambda data: gzip(data[:9]) + gzip(data[9:])),
    "snappy": (SNAPPY, snappy.compress),
    "snappy of Java": (SNAPPY, snappy_encode),
    "lz4": (LZ4, lz4.frame.compress),
    "zstd": (ZSTD, lambda data: zstandard.ZstdCompressor().compress(data)),
    "two frames of zstd": (ZSTD, lambda data: b"".join(map(zstandard.ZstdCompressor().compress, (data[:9], data[9:])))),
}
every_codec = pytest.mark.parametrize("name", CODECS)


@every_codec
@pytest.mark.parametrize("size", [0, 1, 10, 300_000, 1_000_000])
def test_everything_comes_back(name: str, size: int) -> None:
    codec, compress = CODECS[name]
    data = Random(size).randbytes(size // 2) + b"x" * (size - size // 2)
    assert decompressed(codec, compress(data), size) == data


@every_codec
def test_one_byte_too_many_is_too_large(name: str) -> None:
    codec, compress = CODECS[name]
    with pytest.raises(TooLarge):
        decompressed(codec, compress(b"x" * 1001), 1000)


@every_codec
def test_little_that_becomes_much_does_not_fill_the_memory(name: str) -> None:
    codec, compress = CODECS[name]
    bomb = compress(bytes(64 * 1024 * 1024))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decompressed(codec, bomb, 1024 * 1024)
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_block_of_snappy_that_declares_gigabytes_is_not_allocated() -> None:
    with pytest.raises(TooLarge):
        decompressed(SNAPPY, b"\xff\xff\xff\xff\x0f" + b"\x00" * 20, 1024)


@every_codec
def test_damaged_data_is_an_error_and_no_crash(name: str) -> None:
    codec, compress = CODECS[name]
    whole = compress(Random(0).randbytes(5000))
    with pytest.raises(Exception):  # noqa: B017 - each codec raises its own
        decompressed(codec, whole[:4] + b"\xff" * (len(whole) - 4), 10_000)


def test_a_compression_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="compression 7 is not known"):
        decompressed(7, b"", 10)
