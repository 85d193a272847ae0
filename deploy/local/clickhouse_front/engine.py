"""The engine: one for the process, one session a request, so that settings and databases of requests do not meet."""

import os
import tempfile
import time
from dataclasses import dataclass

from chdb import session

from .request import Asked, from_file, takes_data


@dataclass
class Answered:
    """What the engine answered."""

    data: bytes
    read_rows: int
    read_bytes: int
    written_rows: int
    written_bytes: int
    elapsed_ns: int


class Engine:
    """ClickHouse over a folder."""

    def __init__(self, path: str):
        self.path = path
        self.spool = os.path.join(path, "front-spool")
        os.makedirs(self.spool, exist_ok=True)
        for left_over in os.scandir(self.spool):
            os.unlink(left_over.path)
        # Keeps the engine open between requests.
        self.base = session.Session(path)

    def answer(self, asked: Asked) -> Answered:
        """Runs the statement. The engine's errors come as RuntimeError with ClickHouse's text."""
        own = session.Session(self.path)
        try:
            for name, value in asked.settings.items():
                own.query(f"SET {identifier(name)} = {literal(value)}")
            if asked.database != "default":
                own.query(f"USE {quoted(asked.database)}")
            if takes_data(asked.statement):
                return self._insert(own, asked)
            return run(own, asked.statement.decode(), asked)
        finally:
            own.close()

    def _insert(self, own, asked: Asked) -> Answered:
        with tempfile.NamedTemporaryFile(dir=self.spool, delete=False) as file:
            file.write(asked.data)
        try:
            if not asked.data:
                return Answered(b"", 0, 0, 0, 0, 0)
            return run(own, from_file(asked.statement, file.name), asked)
        finally:
            os.unlink(file.name)


def run(own, statement: str, asked: Asked) -> Answered:
    began = time.monotonic_ns()
    result = own.query(statement.rstrip().rstrip(";"), asked.default_format, params=asked.parameters)
    data = result.bytes() or b""
    written = (result.rows_written(), result.bytes_written()) if hasattr(result, "rows_written") else (0, 0)
    return Answered(data, result.rows_read(), result.bytes_read(), *written, time.monotonic_ns() - began)


def identifier(name: str) -> str:
    """A setting's name, which comes from the URL."""
    if not name.replace("_", "").isalnum():
        raise RuntimeError(f"Code: 115. DB::Exception: Unknown setting '{name}'. (UNKNOWN_SETTING)")
    return name


def literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
