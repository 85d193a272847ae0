"""The Rust client `clickhouse` 0.15.3: the bytes that it sends, as they were recorded, and what it is answered."""

import io
import socket
import unittest
from http.client import HTTPResponse
from pathlib import Path

import lz4.frame

from clickhouse_front import framing, native
from tests.front import Front

# An INSERT of one row into a table of forty columns, by the recorder.
INSERT = (Path(__file__).parent / "rust_client_insert.http").read_bytes()


def header(data: bytes) -> list:
    """Names and types from the head of RowBinaryWithNamesAndTypes."""
    columns, at = native.number(data, 0)
    texts = []
    for _ in range(2 * columns):
        length, at = native.number(data, at)
        texts.append(data[at:at + length].decode())
        at += length
    return list(zip(texts[:columns], texts[columns:]))


def first_chunk(request: bytes) -> bytes:
    size, _, rest = request.partition(b"\r\n\r\n")[2].partition(b"\r\n")
    return rest[:int(size, 16)]


class RustClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.front = Front()
        cls.addClassCleanup(cls.front.close)
        names_and_types = b"".join(framing.decompress(io.BytesIO(first_chunk(INSERT))))
        columns = ", ".join(f"`{name}` {kind}" for name, kind in header(names_and_types))
        cls.front.sql("CREATE DATABASE capi")
        cls.front.sql(f"CREATE TABLE capi.call_records ({columns}) ENGINE = MergeTree ORDER BY tuple()")

    def setUp(self):
        self.front.sql("TRUNCATE TABLE capi.call_records")

    def rows(self) -> str:
        return self.front.sql("SELECT count() FROM capi.call_records")

    def send(self, request: bytes):
        connection = socket.create_connection(("127.0.0.1", self.front.port))
        self.addCleanup(connection.close)
        connection.sendall(request)
        return connection

    def test_its_insert(self):
        answer = HTTPResponse(self.send(INSERT))
        answer.begin()
        self.assertEqual((answer.status, answer.read()), (200, b""))
        self.assertIn('"written_rows": "1"', answer.headers["X-ClickHouse-Summary"])
        row = self.front.sql("SELECT http_status, conversion_status, reason, error, contents.id FROM capi.call_records")
        self.assertEqual(row, "401\trefused\tAPI_KEY_INVALID\tThe API key is not valid\t[]")

    def test_an_insert_cut_off_inserts_nothing(self):
        for missing in (1, len(b"0\r\n\r\n"), 100, len(INSERT) - INSERT.index(b"\r\n\r\n") - 4):
            connection = self.send(INSERT[:-missing])
            connection.shutdown(socket.SHUT_WR)
            # The front hangs up without an answer.
            self.assertEqual(connection.recv(1), b"")
            self.assertEqual(self.rows(), "0")

    def test_a_query_with_parameters_comes_as_a_form(self):
        boundary = "clickhouse-rs-4XbDkv2aB1cD3eF5"
        parts = {"query": "SELECT {a:String} AS a, {b:UInt8} AS b", "param_a": "it\\'s \"so\"", "param_b": "7"}
        body = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                       for name, value in parts.items()) + f"--{boundary}--\r\n"
        said = self.front.ask(body.encode(), headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
                              default_format="CSV")
        self.assertEqual((said.status, said.text), (200, '"it\'s ""so""",7'))

    def test_answers_are_packed_as_it_accepts_them(self):
        ask = {"headers": {"Accept-Encoding": "lz4"}, "default_format": "RowBinaryWithNamesAndTypes"}
        said = self.front.ask(b"SELECT toUInt8(1) AS one", **ask)
        self.assertEqual(said.headers["Content-Encoding"], "lz4")
        self.assertEqual(lz4.frame.decompress(said.data), b"\x01\x03one\x05UInt8\x01")
        said = self.front.ask(b"SELECT toUInt8(1) AS one", enable_http_compression="0", **ask)
        self.assertEqual(said.data, b"\x01\x03one\x05UInt8\x01")

    def test_no_rows_still_have_a_header(self):
        said = self.front.ask(b"SELECT toUInt8(1) AS one WHERE 0", default_format="RowBinaryWithNamesAndTypes")
        self.assertEqual(said.data, b"\x01\x03one\x05UInt8")
