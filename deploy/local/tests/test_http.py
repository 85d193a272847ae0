"""The front over its port, as clients use it."""

import base64
import io
import json
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor

from clickhouse_front import framing
from clickhouse_front.refusal import code_of, status_of
from tests.front import Front


class Http(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.front = Front()
        cls.addClassCleanup(cls.front.close)

    def table(self, columns="a Int64"):
        name = self.id().rpartition(".")[2]
        self.front.sql(f"CREATE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY tuple()")
        return name

    def refused(self, statement, status, code, **more):
        said = self.front.ask(statement.encode(), **more)
        self.assertEqual((said.status, said.headers.get("X-ClickHouse-Exception-Code")), (status, str(code)), said.text)
        self.assertTrue(said.text.startswith(f"Code: {code}. DB::Exception: "), said.text)

    def test_parameters_may_hold_anything(self):
        for value in ("it's", 'say "so"', "back\\slash", "{a:String}", "ä; DROP TABLE t"):
            escaped = value.replace("\\", "\\\\")
            answer = json.loads(self.front.sql("SELECT {a:String} AS a FORMAT JSONEachRow", param_a=escaped))
            self.assertEqual(answer["a"], value)

    def test_settings_are_one_requests_own(self):
        ask = "SELECT value FROM system.settings WHERE name = 'max_threads'"
        before = self.front.sql(ask)
        self.assertEqual(self.front.sql(ask, max_threads="7"), "7")
        self.assertEqual(self.front.sql(ask), before)

    def test_errors_have_codes_and_statuses(self):
        self.refused("SELECT * FROM no_such_table", 404, 60)
        self.refused("SELEC 1", 400, 62)
        self.refused("SELECT toUInt8('x')", 400, 6)
        self.refused("SELECT 1", 404, 115, no_such_setting="1")
        self.refused("SELECT 1", 404, 81, database="no_such_database")

    def test_a_code_is_read_whole(self):
        self.assertEqual([code_of("Code: 53. DB::Exception: x"), code_of("Code: 530. DB::Exception: x")], [53, 530])
        self.assertEqual([status_of(53), status_of(530)], [400, 500])

    def test_get_changes_nothing(self):
        name = self.table()
        for more in ({}, {"readonly": "0"}):
            said = self.front.ask(method="GET", query=f"INSERT INTO {name} VALUES (1)", **more)
            self.assertEqual(said.headers.get("X-ClickHouse-Exception-Code"), "164", said.text)
        self.assertEqual(self.front.ask(method="GET", query=f"SELECT count() FROM {name}").text, "0")

    def test_chunks_make_one_body(self):
        name = self.table()
        said = self.front.ask(iter([b"1\n2", b"3\n", b"4\n"]), headers={"Transfer-Encoding": "chunked"}, chunked=True,
                              query=f"INSERT INTO {name} FORMAT TSV")
        self.assertEqual(said.status, 200, said.text)
        self.assertEqual(self.front.sql(f"SELECT groupArray(a) FROM (SELECT a FROM {name} ORDER BY a)"), "[1,4,23]")

    def test_blocks_both_ways(self):
        name = self.table()
        insert = {"query": f"INSERT INTO {name} FORMAT TSV", "decompress": "1"}
        packed = b"".join(framing.compress(b"5\n6\n"))
        self.assertEqual(self.front.ask(packed, **insert).status, 200)
        bad = self.front.ask(b"\x00" + packed[1:], **insert)
        self.assertEqual((bad.status, bad.headers["X-ClickHouse-Exception-Code"]), (500, "271"))
        said = self.front.ask(f"SELECT sum(a) FROM {name}".encode(), compress="1")
        self.assertEqual(b"".join(framing.decompress(io.BytesIO(said.data))), b"11\n")

    def test_concurrent_inserts_are_all_there(self):
        name = self.table()
        def insert(worker):
            for at in range(10):
                self.front.sql(f"INSERT INTO {name} FORMAT TSV\n{worker * 10 + at}\n")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(insert, range(8)))
        self.assertEqual(self.front.sql(f"SELECT count(), uniqExact(a) FROM {name}"), "80\t80")

    def test_a_long_select_holds_no_insert_up(self):
        name, order = self.table(), []
        def long():
            self.front.sql("SELECT count(sleepEachRow(0.05)) FROM numbers(100) SETTINGS max_block_size = 1")
            order.append("select")
        select = threading.Thread(target=long)
        select.start()
        self.front.sql(f"INSERT INTO {name} FORMAT TSV\n1\n")
        order.append("insert")
        select.join()
        self.assertEqual(order, ["insert", "select"])

    def test_what_grafana_asks(self):
        headers = {"X-Grafana-Org-Id": "1", "User-Agent": "grafana-clickhouse-datasource"}
        said = self.front.ask(b"SELECT 1 AS one, 'x' AS two FORMAT JSON", headers=headers)
        self.assertEqual(json.loads(said.data)["data"], [{"one": 1, "two": "x"}])
        said = self.front.ask(b"SELECT toUInt8(1) AS one", headers=headers, default_format="Native")
        self.assertEqual(said.data, b"\x01\x01\x03one\x05UInt8\x01")
        self.assertEqual(said.headers["X-ClickHouse-Format"], "Native")
        self.assertEqual(self.front.ask(method="GET", path="/ping").text, "Ok.")

    def test_nonsense_gets_an_answer(self):
        said = self.front.ask(b"SELECT 1", headers={"Content-Length": "many"})
        self.assertEqual(said.status, 400)
        self.assertEqual(self.front.ask(b"\xff\xfe").status, 400)
        self.assertEqual(self.front.ask(b"SELECT 1", path="/elsewhere").status, 404)


class Password(unittest.TestCase):
    def test_every_way_to_give_it(self):
        front = Front(password="s3cret:x")
        self.addCleanup(front.close)
        def basic(text):
            return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}
        for more in ({"headers": {"X-ClickHouse-User": "default", "X-ClickHouse-Key": "s3cret:x"}},
                     {"headers": basic("default:s3cret:x")}, {"user": "default", "password": "s3cret:x"}):
            self.assertEqual(front.ask(b"SELECT 1", **more).text, "1")
        for more in ({}, {"headers": {"X-ClickHouse-Key": "wrong"}}, {"headers": basic("default:wrong")},
                     {"headers": {"Authorization": "Basic !"}}, {"user": "other", "password": "s3cret:x"}):
            said = front.ask(b"SELECT 1", **more)
            self.assertEqual((said.status, said.headers["X-ClickHouse-Exception-Code"]), (403, "516"))
            self.assertNotIn("s3cret", said.text)


class Crash(unittest.TestCase):
    def test_acknowledged_rows_outlive_a_kill(self):
        front = Front()
        self.addCleanup(front.close)
        front.sql("CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a")
        front.sql("INSERT INTO t FORMAT TSV\n1\n2\n")
        front.kill()
        front.start()
        self.assertEqual(front.sql("SELECT sum(a) FROM t"), "3")
