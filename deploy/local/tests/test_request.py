"""Where a statement ends and its data begins."""

import unittest

from clickhouse_front.body import TooLarge
from clickhouse_front.request import LONGEST_HEAD, LONGEST_STATEMENT, take_apart


def taken(query: str, *pieces: bytes):
    return take_apart({"query": query} if query else {}, {}, iter(pieces))


def data(asked) -> bytes:
    return b"".join(asked.insert.data)


class Statements(unittest.TestCase):
    def test_an_insert_in_the_url_has_its_data_in_the_body(self):
        for query in ("INSERT INTO t (a, b) FORMAT RowBinary", "INSERT INTO t FORMAT RowBinary;\n",
                      "/* why */ -- FORMAT TSV\n INSERT INTO t FORMAT RowBinary"):
            asked = taken(query, b"\n\x00 FORMAT", b" TSV\n")
            self.assertEqual((asked.insert.format, data(asked)), ("RowBinary", b"\n\x00 FORMAT TSV\n"), query)

    def test_an_insert_in_the_body_is_followed_by_its_data(self):
        self.assertEqual(data(taken("", b"INSERT INTO t FORMAT JSONEachRow\n{\"a\": 1}")), b'{"a": 1}')
        self.assertEqual(data(taken("", b"insert into t format TSV 1\n2\n")), b"1\n2\n")
        self.assertEqual(data(taken("", b"INSERT INTO t FOR", b"MAT T", b"SV\n", b"1\n", b"2\n")), b"1\n2\n")

    def test_data_is_not_waited_for(self):
        def endless():
            yield b"INSERT INTO t FORMAT TSV\n"
            while True:
                yield b"1\n" * 1000
        asked = take_apart({}, {}, endless())
        self.assertEqual(next(asked.insert.data)[:4], b"1\n1\n")

    def test_settings_stay_with_the_statement(self):
        asked = taken("INSERT INTO t SETTINGS async_insert=0, max_threads=1 FORMAT TSV", b"1\n")
        self.assertEqual(data(asked), b"1\n")
        moved = "INSERT INTO t FROM INFILE '/it\\'s' SETTINGS async_insert=0, max_threads=1 FORMAT TSV"
        self.assertEqual(asked.insert.from_file("/it's").split(), moved.split())

    def test_other_statements_are_untouched(self):
        for text in ("INSERT INTO t SELECT 1 FORMAT Null", "INSERT INTO t VALUES ('a FORMAT TSV b')",
                     "INSERT INTO t FROM INFILE 'x' FORMAT TSV",
                     "INSERT INTO t SETTINGS max_threads=1 SELECT 'x' FORMAT Null",
                     "INSERT INTO t SETTINGS max_threads=1 VALUES (' FORMAT TSV ')",
                     "SELECT 'INSERT INTO t FORMAT TSV '", "SELECT 1 FORMAT JSON"):
            asked = taken("", text.encode())
            self.assertEqual((asked.statement, asked.insert), (text, None))

    def test_a_query_may_be_split_between_url_and_body(self):
        self.assertEqual(taken("SELECT 1", b"FORMAT JSON;\n").statement, "SELECT 1\nFORMAT JSON")

    def test_a_long_statement_is_whole_and_a_longer_one_refused(self):
        values = b"INSERT INTO t VALUES " + b"(1)," * LONGEST_HEAD
        self.assertEqual(len(taken("", values, b"(2)").statement), len(values) + 3)
        piece = b" " * (1 << 20)
        with self.assertRaises(TooLarge):
            taken("", b"SELECT", *[piece] * (LONGEST_STATEMENT // len(piece)))

    def test_settings_and_parameters_are_told_apart(self):
        arguments = {"query": "SELECT 1", "max_threads": "1", "param_a": "x", "query_id": "q"}
        asked = take_apart(arguments, {}, iter(()))
        self.assertEqual((asked.settings, asked.parameters), ({"max_threads": "1"}, {"a": "x"}))

    def test_the_answers_format(self):
        self.assertEqual(taken("SELECT 1").format, "TabSeparated")
        self.assertEqual(take_apart({"default_format": "JSON"}, {}, iter([b"SELECT 1"])).format, "JSON")
        self.assertEqual(take_apart({}, {"X-ClickHouse-Format": "CSV"}, iter([b"SELECT 1"])).format, "CSV")
        self.assertEqual(take_apart({"default_format": "JSON"}, {}, iter([b"SELECT 1 FORMAT CSV;"])).format, "CSV")
