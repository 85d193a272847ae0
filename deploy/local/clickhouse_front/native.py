"""ClickHouse's Native format, as a client of a protocol version expects it.

The library writes it for no version in particular. A client that names one (Go's, and with it Grafana's data source)
expects a block's info before each block and, after each column's type, whether its serialization is a custom one. To
know where a column ends, its values are walked over by their type.
"""

import re
import struct
from functools import lru_cache
from typing import Iterator

# src/Core/ProtocolDefines.h of ClickHouse: DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION.
CUSTOM_SERIALIZATION = 54454
# Field 1, is_overflows: no. Field 2, bucket_num: -1. No more fields.
BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"

WIDTHS = {"Bool": 1, "Nothing": 1, "Enum8": 1, "Enum16": 2, "BFloat16": 2, "Float32": 4, "Float64": 8, "Date": 2,
          "Date32": 4, "DateTime": 4, "DateTime64": 8, "Time": 4, "Time64": 8, "Decimal32": 4, "Decimal64": 8,
          "Decimal128": 16, "Decimal256": 32, "UUID": 16, "IPv4": 4, "IPv6": 16}
WIDTHS.update({f"{sign}Int{bits}": bits // 8 for sign in ("", "U") for bits in (8, 16, 32, 64, 128, 256)})
DECIMAL_WIDTHS = ((9, 4), (18, 8), (38, 16), (76, 32))
# A name before an element's type in Tuple and Nested.
ELEMENT_NAME = re.compile(r"(?:`(?:[^`\\]|\\.)*`|\w+)\s+(?=\w)")


class Unknown(ValueError):
    """A column's type is not one that can be walked over."""


def for_version(data: bytes, version: int) -> Iterator[bytes]:
    """The blocks, as a client of this protocol version reads them."""
    at = 0
    while at < len(data):
        start = at
        columns, at = number(data, at)
        rows, at = number(data, at)
        yield BLOCK_INFO + data[start:at]
        for _ in range(columns):
            start = at
            at = end_of_text(data, at)
            type_start = at
            at = end_of_text(data, at)
            kind = data[number(data, type_start)[1]:at].decode()
            yield data[start:at] + (b"\0" if version >= CUSTOM_SERIALIZATION else b"")
            start = at
            if rows:
                at = end_of_values(data, end_of_prefix(data, at, kind), kind, rows)
            yield data[start:at]


def end_of_prefix(data: bytes, at: int, kind: str) -> int:
    """What stands before a column's values: the version of each dictionary in it."""
    name, parts = parsed(kind)
    if name == "LowCardinality":
        return at + 8
    for part in parts if name in ("Array", "Nullable", "Tuple", "Map", "Nested") else ():
        at = end_of_prefix(data, at, part)
    return at


def end_of_values(data: bytes, at: int, kind: str, rows: int) -> int:
    """The end of a column's values that begin here."""
    name, parts = parsed(kind)
    if rows == 0:
        return at
    if name == "String":
        for _ in range(rows):
            at = end_of_text(data, at)
        return at
    if name == "Nullable":
        return end_of_values(data, at + rows, parts[0], rows)
    if name in ("Array", "Map", "Nested"):
        inside = struct.unpack_from("<Q", data, at + 8 * (rows - 1))[0]
        return end_of_parts(data, at + 8 * rows, parts, inside)
    if name == "Tuple":
        return end_of_parts(data, at, parts, rows) if parts else at + rows
    if name == "LowCardinality":
        return end_of_dictionary(data, at, parts[0], rows)
    return at + rows * width(name, parts)


def end_of_parts(data: bytes, at: int, parts: tuple, rows: int) -> int:
    for part in parts:
        at = end_of_values(data, at, part, rows)
    return at


def end_of_dictionary(data: bytes, at: int, kind: str, rows: int) -> int:
    """A dictionary and the rows' indexes into it, as often as needed to reach the rows."""
    while rows:
        flags, keys = struct.unpack_from("<QQ", data, at)
        at += 16
        name, parts = parsed(kind)
        at = end_of_values(data, at, parts[0] if name == "Nullable" else kind, keys)
        indexed = struct.unpack_from("<Q", data, at)[0]
        # The lowest byte of the flags says how wide an index is: 0 to 3 for 1, 2, 4 or 8 bytes.
        at += 8 + indexed * (1 << (flags & 0xFF))
        rows -= indexed
    return at


def width(name: str, parts: tuple) -> int:
    """The bytes of one value of a type of fixed width."""
    if name == "FixedString":
        return int(parts[0])
    if name == "Decimal":
        return next(width for digits, width in DECIMAL_WIDTHS if int(parts[0]) <= digits)
    if name.startswith("Interval"):
        return 8
    if name not in WIDTHS:
        raise Unknown(name)
    return WIDTHS[name]


@lru_cache(maxsize=4096)
def parsed(kind: str) -> tuple[str, tuple]:
    """A type's name and what its brackets hold, without the names of a tuple's elements."""
    name, _, inside = kind.partition("(")
    parts = tuple(split(inside[:-1])) if inside[:-1] else ()
    if name in ("Tuple", "Nested"):
        parts = tuple(ELEMENT_NAME.sub("", part, count=1) for part in parts)
    if name == "SimpleAggregateFunction":
        return parsed(parts[1])
    return name, parts


def split(inside: str) -> Iterator[str]:
    """Splits at the commas that stand in no further brackets and no quotes."""
    depth, start, quote, at = 0, 0, "", 0
    while at < len(inside):
        char = inside[at]
        if quote:
            at += char == "\\"
            quote = "" if char == quote else quote
        elif char in "'`":
            quote = char
        elif char == "," and depth == 0:
            yield inside[start:at].strip()
            start = at + 1
        depth += 0 if quote else (char == "(") - (char == ")")
        at += 1
    yield inside[start:].strip()


def number(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length (LEB128) and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def end_of_text(data: bytes, at: int) -> int:
    length, at = number(data, at)
    return at + length
