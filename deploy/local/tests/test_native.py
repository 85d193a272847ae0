"""Native blocks: the walk over every type ends where the engine ended."""

import unittest

from clickhouse_front import native
from tests.front import Front

COLUMNS = """
    toUInt8(number) AS u8, toInt256(number) AS i256, toBFloat16(number) AS bf, number / 3 AS f, number = 1 AS b,
    toDate(number) AS d, toDate32(number) AS d32, toDateTime(number, 'Europe/Berlin') AS dt,
    toDateTime64(number, 3, 'UTC') AS dt64, toDecimal32(number, 2) AS de32, toDecimal64(number, 6) AS de64,
    CAST(number AS Decimal(38, 6)) AS de128, toDecimal256(number, 2) AS de256, toUUID('01a2079c-34ac-73cf-ba23-3a920703e8f5') AS uuid,
    toIPv4('1.2.3.4') AS v4, toIPv6('::1') AS v6, CAST('a, b)' AS Enum8('a, b)' = 1, 'it\\'s (' = 2)) AS e8,
    CAST('x' AS Enum16('x' = 500)) AS e16, toFixedString('abc', 3) AS fs, toIntervalDay(number) AS i,
    repeat('x', number * 100) AS s, if(number % 2, NULL, toString(number)) AS ns, NULL AS nothing,
    range(number) AS a, arrayMap(x -> range(x), range(number)) AS aa, arrayMap(x -> toString(x), range(number)) AS sa,
    (number, toString(number), [number]) AS t, map('k', number, 'l', 2) AS m,
    CAST((1, 'x') AS Tuple(a UInt8, `b (c, d` String)) AS nt,
    toLowCardinality(toString(number % 3)) AS lc, toLowCardinality(if(number % 2, NULL, 'x')) AS nlc,
    arrayMap(x -> toLowCardinality(toString(x)), range(number)) AS alc, map(toLowCardinality('k'), number) AS mlc,
    CAST([(1, 'x')] AS Nested(a UInt8, b String)) AS n, [] AS none, tuple() AS void
"""


def version_0(data: bytes) -> bytes:
    """The blocks with what a version adds taken out: the same walk the other way, over what it wrote."""
    plain, at = [], 0
    while at < len(data):
        assert data.startswith(native.BLOCK_INFO, at)
        at = start = at + len(native.BLOCK_INFO)
        columns, at = native.number(data, at)
        rows, at = native.number(data, at)
        plain.append(data[start:at])
        for _ in range(columns):
            start = at
            at = native.end_of_text(data, at)
            kind_at = native.number(data, at)[1]
            at = native.end_of_text(data, at)
            kind = data[kind_at:at].decode()
            assert data[at] == 0, f"{kind} has a custom serialization"
            plain.append(data[start:at])
            start = at + 1
            at = native.end_of_values(data, native.end_of_prefix(data, start, kind), kind, rows) if rows else start
            plain.append(data[start:at])
    return b"".join(plain)


class Native(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.front = Front()
        cls.addClassCleanup(cls.front.close)

    def ask(self, statement: str, version: int) -> bytes:
        said = self.front.ask(statement.encode(), default_format="Native", client_protocol_version=version)
        self.assertEqual(said.status, 200, said.data)
        return said.data

    def test_every_type_of_column(self):
        for rows in (1, 2, 100, 0):
            # Small blocks, so that there are many.
            query = f"SELECT {COLUMNS} FROM numbers({rows}) SETTINGS max_block_size = 7"
            plain, versioned = self.ask(query, 0), self.ask(query, native.CUSTOM_SERIALIZATION)
            self.assertEqual(version_0(versioned), plain)

    def test_a_block_as_an_old_and_a_new_client_read_it(self):
        info = b"\x01\x00\x02\xff\xff\xff\xff\x00"
        self.assertEqual(self.ask("SELECT toUInt8(1) AS one", 54453), info + b"\x01\x01\x03one\x05UInt8\x01")
        self.assertEqual(self.ask("SELECT toUInt8(1) AS one", 54460), info + b"\x01\x01\x03one\x05UInt8\x00\x01")

    def test_a_type_that_cannot_be_walked_is_refused(self):
        said = self.front.ask(b"SELECT 1::Variant(UInt8, String) AS v", default_format="Native",
                              client_protocol_version=54460)
        self.assertEqual((said.status, said.headers["X-ClickHouse-Exception-Code"]), (501, "48"))
