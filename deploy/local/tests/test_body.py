"""Bodies: whole or not at all."""

import io
import unittest

from clickhouse_front import form
from clickhouse_front.body import LARGEST, Incomplete, Malformed, TooLarge, open_body, pieces

CHUNKED = {"Transfer-Encoding": "chunked"}


def read(headers, data: bytes) -> bytes:
    return b"".join(pieces(open_body(headers, io.BytesIO(data)), compressed=False))


class Bodies(unittest.TestCase):
    def test_a_body_ends_where_it_says(self):
        self.assertEqual(read({"Content-Length": "3"}, b"abcGET /"), b"abc")
        self.assertEqual(read({}, b"GET /"), b"")
        self.assertEqual(read(CHUNKED, b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\nT: x\r\n\r\nGET /"), b"abc")

    def test_a_piece_may_span_chunks(self):
        body = open_body(CHUNKED, io.BytesIO(b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"))
        self.assertEqual([body.read(3), body.read(3), body.read(3)], [b"abc", b"de", b""])

    def test_a_body_cut_off_is_no_body(self):
        whole = b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
        for length in range(len(whole)):
            with self.assertRaises(Incomplete, msg=whole[:length]):
                read(CHUNKED, whole[:length])
        with self.assertRaises(Incomplete):
            read({"Content-Length": "4"}, b"abc")

    def test_nonsense_is_refused(self):
        for headers, data in (({"Content-Length": "-1"}, b""), ({"Content-Length": "x"}, b""), (CHUNKED, b"x\r\n"),
                              (CHUNKED, b"-1\r\n"), (CHUNKED, b"\r\n")):
            with self.assertRaises(Malformed):
                read(headers, data)

    def test_too_much_is_refused_before_it_is_read(self):
        for headers, data in (({"Content-Length": str(LARGEST + 1)}, b""), (CHUNKED, b"%x\r\n" % (LARGEST + 1))):
            with self.assertRaises(TooLarge):
                read(headers, data)


class Forms(unittest.TestCase):
    HEADERS = {"Content-Type": "multipart/form-data; boundary=b-1"}

    def test_fields(self):
        body = (b'--b-1\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT {a:String}\r\n'
                b'--b-1\r\nContent-Disposition: form-data; name="param_a"\r\n\r\nx\r\n--y\n\r\n--b-1--\r\n')
        self.assertTrue(form.is_form(self.HEADERS))
        self.assertEqual(form.fields(self.HEADERS, body), {"query": "SELECT {a:String}", "param_a": "x\r\n--y\n"})

    def test_what_is_no_form_is_refused(self):
        field = b'--b-1\r\nContent-Disposition: form-data; name="q"\r\n\r\nx\r\n'
        for body in (b"", field, field[:20], b"x" + field + b"--b-1--", b"--b-1\r\n\r\nx\r\n--b-1--",
                     field.replace(b'name="q"', b'name="q"; filename="f"') + b"--b-1--",
                     field.replace(b"x\r\n", b"\xff\r\n") + b"--b-1--"):
            with self.assertRaises(Malformed, msg=body):
                form.fields(self.HEADERS, body)
        with self.assertRaises(Malformed):
            form.fields({"Content-Type": "multipart/form-data"}, field + b"--b-1--")
