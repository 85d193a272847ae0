"""The HTTP server: a thread a connection, the engine does the rest."""

import json
import ssl
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Optional
from urllib.parse import parse_qsl, urlsplit

from . import form, native
from .access import Access, Denied
from .body import Incomplete, TooLarge, open_body, pieces
from .encoding import packed
from .engine import Answered, Engine
from .framing import BadFrame
from .refusal import code_of, status_of, text_of
from .request import Asked, take_apart, whole

CONTENT_TYPES = {"CSV": "text/csv; charset=UTF-8", "JSON": "application/json; charset=UTF-8",
                 "JSONEachRow": "application/x-ndjson; charset=UTF-8",
                 "TabSeparated": "text/tab-separated-values; charset=UTF-8"}


class Server(ThreadingHTTPServer):
    """Listens, with a thread for each connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, engine: Engine, access: Access):
        super().__init__(address, Handler)
        self.engine, self.access = engine, access

    def speak_tls(self, certificate: str):
        """Takes TLS connections only from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # Not on accepting, where one silent client would hold up all others: the connection's own thread does it.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request, client_address):
        """A client that breaks off, or does not trust the certificate, is no fault of ours."""


class NoHandle(Exception):
    """Nothing is at this path."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    # Head and body leave together, and wait for nothing more.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        self.answer(writes=False)

    do_HEAD = do_GET

    def do_POST(self):
        self.answer(writes=True)

    def answer(self, writes: bool):
        url = urlsplit(self.path)
        self.arguments = dict(parse_qsl(url.query, keep_blank_values=True))
        try:
            if url.path in ("/ping", "/replicas_status"):
                self.reply(200, b"Ok.\n")
            elif url.path == "/":
                self.server.access.check(self.arguments, self.headers)
                self.run(self.asked(writes))
            else:
                raise NoHandle(f"There is no handle {url.path}. Use / for queries, /ping for health.")
        except Incomplete:
            self.close_connection = True
        except (native.Unknown, RuntimeError) as error:
            self.refuse(text_of(error))
        except (BadFrame, Denied) as error:
            self.hang_up(text_of(error))
        except NoHandle as error:
            self.hang_up(str(error), 404)
        except TooLarge as error:
            self.hang_up(f"The request is too large: {error}", 413)
        except ValueError as error:
            self.hang_up(f"The request cannot be read: {error}", 400)

    def asked(self, writes: bool) -> Asked:
        body = open_body(self.headers, self.rfile)
        parts = pieces(body, self.arguments.get("decompress") == "1")
        if form.is_form(self.headers):
            self.arguments.update(form.fields(self.headers, whole(b"", parts)))
            parts = iter(())
        asked = take_apart(self.arguments, self.headers, parts)
        if not writes:
            # As the server has it: what comes by GET changes nothing, whatever it says.
            asked.settings["readonly"] = "1" if asked.settings.get("readonly") == "1" else "2"
        return asked

    def run(self, asked: Asked):
        if not asked.statement:
            return self.reply(200, b"Ok.\n")
        answered = self.server.engine.answer(asked)
        data = answered.data
        if asked.format == "Native" and asked.protocol_version:
            data = b"".join(native.for_version(data, asked.protocol_version))
        data, encoding = packed(data, self.arguments, self.headers)
        headers = {
            "Content-Type": CONTENT_TYPES.get(asked.format, "application/octet-stream"),
            "X-ClickHouse-Format": asked.format,
            "X-ClickHouse-Summary": summary(answered),
        }
        if encoding:
            headers["Content-Encoding"] = encoding
        self.reply(200, data, headers)

    def hang_up(self, text: str, status: Optional[int] = None):
        """Refuses, and ends the connection: what is unread of the body would be taken for the next request."""
        self.close_connection = True
        self.refuse(text, status)

    def refuse(self, text: str, status: Optional[int] = None):
        """Refuses, with the status that follows from ClickHouse's code where none is given."""
        headers = {"Content-Type": "text/plain; charset=UTF-8"}
        if status is None:
            status = status_of(code_of(text))
            headers["X-ClickHouse-Exception-Code"] = str(code_of(text))
        self.reply(status, text.encode() + b"\n", headers)

    def reply(self, status: int, data: bytes, headers=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-ClickHouse-Query-Id", query_id(self.arguments))
        self.send_header("X-ClickHouse-Server-Display-Name", "local")
        self.send_header("X-ClickHouse-Timezone", "UTC")
        if self.close_connection:
            self.send_header("Connection", "close")
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


def query_id(arguments: dict[str, str]) -> str:
    """The client's, as far as a header can hold it, or a new one."""
    given = "".join(char for char in arguments.get("query_id", "") if char.isascii() and char.isprintable())
    return given or str(uuid.uuid4())


def summary(answered: Answered) -> str:
    names = ("read_rows", "read_bytes", "written_rows", "written_bytes", "elapsed_ns")
    return json.dumps({name: str(getattr(answered, name)) for name in names})
