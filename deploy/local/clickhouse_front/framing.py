"""ClickHouse's native compressed framing: blocks of CityHash128 (16 bytes), method (1), sizes (4 + 4), an LZ4 block.

The checksum covers the nine header bytes and the compressed data; the compressed size counts those nine as well.
"""

import struct
from typing import BinaryIO, Iterator

import lz4.block
from clickhouse_cityhash.cityhash import CityHash128

LZ4 = 0x82
HEADER = struct.Struct("<BII")
CHECKSUM = 16
# What ClickHouse refuses too: a block is at most 1 GiB on either side.
LARGEST = 1 << 30
BLOCK = 1 << 20


class BadFrame(ValueError):
    """The bytes are no such blocks."""


def checksum(data: bytes) -> bytes:
    # The library's number has the first half on top; ClickHouse writes each half with its lowest byte first.
    first, second = divmod(CityHash128(data), 1 << 64)
    return struct.pack("<QQ", first, second)


def compress(data: bytes) -> Iterator[bytes]:
    """Frames the data, block by block."""
    for at in range(0, len(data), BLOCK):
        block = data[at : at + BLOCK]
        packed = lz4.block.compress(block, store_size=False)
        body = HEADER.pack(LZ4, len(packed) + HEADER.size, len(block)) + packed
        yield checksum(body) + body


def decompress(stream: BinaryIO) -> Iterator[bytes]:
    """Reads framed blocks to the end of the stream."""
    while True:
        start = stream.read(CHECKSUM + HEADER.size)
        if not start:
            return
        if len(start) < CHECKSUM + HEADER.size:
            raise BadFrame("the compressed data ends within a block's header")
        expected, header = start[:CHECKSUM], start[CHECKSUM:]
        method, packed_size, size = HEADER.unpack(header)
        if method != LZ4:
            raise BadFrame(f"unknown compression method 0x{method:02x}: only LZ4 (0x82) is taken")
        if not HEADER.size <= packed_size <= LARGEST or size > LARGEST:
            raise BadFrame(f"a block of {packed_size} bytes for {size} is out of bounds")
        packed = stream.read(packed_size - HEADER.size)
        if len(packed) < packed_size - HEADER.size:
            raise BadFrame("the compressed data ends within a block")
        if checksum(header + packed) != expected:
            raise BadFrame("a block's checksum does not match")
        yield unpack(packed, size)


def unpack(packed: bytes, size: int) -> bytes:
    try:
        data = lz4.block.decompress(packed, uncompressed_size=size)
    except lz4.block.LZ4BlockError as error:
        raise BadFrame(f"a block's data is no LZ4: {error}") from error
    if len(data) != size:
        raise BadFrame(f"a block of {size} bytes has {len(data)}")
    return data
