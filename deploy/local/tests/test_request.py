"""Where a statement ends and its data begins."""

import unittest

from clickhouse_front.request import from_file, take_apart, takes_data


def taken(query: str, body: bytes = b""):
    asked = take_apart({"query": query} if query else {}, {}, body)
    return asked.statement, asked.data


class Statements(unittest.TestCase):
    def test_an_insert_in_the_url_has_its_data_in_the_body(self):
        statement, data = taken("INSERT INTO t (a, b) FORMAT RowBinary", b"\n\x00 FORMAT TSV\n")
        self.assertTrue(takes_data(statement))
        self.assertEqual(data, b"\n\x00 FORMAT TSV\n")

    def test_an_insert_in_the_body_is_followed_by_its_data(self):
        self.assertEqual(taken("", b"INSERT INTO t FORMAT JSONEachRow\n{\"a\": 1}")[1], b'{"a": 1}')
        self.assertEqual(taken("", b"insert into t format TSV 1\n2\n")[1], b"1\n2\n")

    def test_settings_stay_with_the_statement(self):
        statement, data = taken("INSERT INTO t SETTINGS async_insert=0, max_threads=1 FORMAT TSV", b"1\n")
        self.assertEqual(data, b"1\n")
        moved = from_file(statement, "/f")
        self.assertEqual(moved.split(), "INSERT INTO t FROM INFILE '/f' SETTINGS async_insert=0, max_threads=1 FORMAT TSV".split())

    def test_other_statements_are_untouched(self):
        for text in (b"INSERT INTO t SELECT 1 FORMAT Null", b"INSERT INTO t VALUES ('a FORMAT TSV b')",
                     b"INSERT INTO t SETTINGS max_threads=1 SELECT 'x' FORMAT Null",
                     b"INSERT INTO t SETTINGS max_threads=1 VALUES (' FORMAT TSV ')",
                     b"SELECT 'INSERT INTO t FORMAT TSV '", b"SELECT 1 FORMAT JSON"):
            self.assertEqual(taken("", text), (text, b""))

    def test_settings_and_parameters_are_told_apart(self):
        asked = take_apart({"query": "SELECT 1", "max_threads": "1", "param_a": "x", "query_id": "q"}, {}, b"")
        self.assertEqual((asked.settings, asked.parameters), ({"max_threads": "1"}, {"a": "x"}))
