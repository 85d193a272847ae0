"""The HTTP server: a thread a connection, the engine does the rest."""

import base64
import hmac
import io
import json
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from . import framing
from .engine import Answered, Engine
from .refusal import code_of, status_of, text_of
from .request import take_apart

LARGEST_BODY = 1 << 30
CONTENT_TYPES = {"JSON": "application/json; charset=UTF-8", "TabSeparated": "text/tab-separated-values; charset=UTF-8"}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, engine: Engine, user: str, password: str):
        super().__init__(address, Handler)
        self.engine, self.user, self.password = engine, user, password


class Refused(Exception):
    """An answer that is no answer of the engine."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One segment for head and body, and no waiting for more.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        path = urlsplit(self.path).path
        if path in ("/ping", "/replicas_status"):
            return self.reply(200, b"Ok.\n")
        self.answer(writes=False)

    do_HEAD = do_GET

    def do_POST(self):
        self.answer(writes=True)

    def answer(self, writes: bool):
        url = urlsplit(self.path)
        arguments = dict(parse_qsl(url.query, keep_blank_values=True))
        try:
            body = self.body(arguments)
            self.authenticate(arguments)
            if url.path != "/":
                raise Refused(404, f"There is no handle {url.path}. Use / or /ping for queries and health.")
            asked = take_apart(arguments, self.headers, body)
            if not asked.statement.strip():
                return self.reply(200, b"Ok.\n")
            if not writes:
                # As the server has it: what comes by GET changes nothing.
                if asked.settings.get("readonly", "0") not in ("1", "2"):
                    asked.settings["readonly"] = "2"
            answered = self.server.engine.answer(asked)
        except Refused as refused:
            return self.refuse(refused.status, str(refused))
        except framing.BadFrame as bad:
            return self.refuse(400, f"Code: 271. DB::Exception: {bad}. (CANNOT_DECOMPRESS)")
        except ValueError as error:
            # A length, a chunk's size or a text that is none: where the next request begins is unknown.
            self.close_connection = True
            return self.refuse(400, f"The request cannot be read: {error}")
        except RuntimeError as error:
            text = text_of(error)
            return self.refuse(status_of(code_of(text)), text)
        self.succeed(arguments, asked.default_format, answered)

    def body(self, arguments) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            raw = b"".join(self.chunks())
        else:
            raw = self.rfile.read(self.bounded(int(self.headers.get("Content-Length") or 0)))
        if arguments.get("decompress") == "1" and raw:
            return b"".join(framing.decompress(io.BytesIO(raw)))
        return raw

    def chunks(self):
        total = 0
        while size := int(self.rfile.readline(64).split(b";")[0].strip() or b"0", 16):
            total = self.bounded(total + size)
            yield self.rfile.read(size)
            self.rfile.readline(8)
        while self.rfile.readline(8192).strip():
            pass

    def bounded(self, size: int) -> int:
        if size > LARGEST_BODY:
            self.close_connection = True
            raise Refused(413, f"A body of over {LARGEST_BODY} bytes is not taken.")
        return size

    def authenticate(self, arguments):
        """Only where a password is configured: then user and password must match, wherever they stand."""
        if not self.server.password:
            return
        user = self.headers.get("X-ClickHouse-User") or arguments.get("user") or "default"
        password = self.headers.get("X-ClickHouse-Key") or arguments.get("password") or ""
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                user, _, password = base64.b64decode(given).decode().partition(":")
            except ValueError:
                password = ""
        if user != self.server.user or not hmac.compare_digest(password.encode(), self.server.password.encode()):
            raise Refused(403, f"Code: 516. DB::Exception: {user}: Authentication failed: password is incorrect, or "
                               "there is no user with such name. (AUTHENTICATION_FAILED)")

    def succeed(self, arguments, form: str, answered: Answered):
        summary = {name: str(getattr(answered, name)) for name in
                   ("read_rows", "read_bytes", "written_rows", "written_bytes", "elapsed_ns")}
        headers = {
            "Content-Type": CONTENT_TYPES.get(form, "application/octet-stream"),
            "X-ClickHouse-Summary": json.dumps(summary),
            "X-ClickHouse-Format": form,
        }
        data = answered.data
        if arguments.get("compress") == "1":
            data = b"".join(framing.compress(data))
        self.reply(200, data, headers, arguments)

    def refuse(self, status: int, text: str):
        headers = {"Content-Type": "text/plain; charset=UTF-8"}
        if "DB::Exception" in text:
            headers["X-ClickHouse-Exception-Code"] = str(code_of(text))
        self.reply(status, text.encode() + b"\n", headers)

    def reply(self, status: int, data: bytes, headers=None, arguments=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-ClickHouse-Query-Id", (arguments or {}).get("query_id") or str(uuid.uuid4()))
        self.send_header("X-ClickHouse-Server-Display-Name", "local")
        self.send_header("X-ClickHouse-Timezone", "UTC")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    def version_string(self):
        return "clickhouse-front"

    def log_message(self, *_):
        pass
