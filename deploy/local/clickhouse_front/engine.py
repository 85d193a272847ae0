"""The engine: one for the process, one session a request, so that settings and databases of requests do not meet."""

import os
import tempfile
import time
from dataclasses import dataclass

from chdb import session

from .request import Asked, Insert, literal

# Names that the library takes for formats of its own, none of them ClickHouse's.
NO_FORMATS = {"dataframe", "arrowtable", "datastore", "debug"}


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
        # Keeps the engine open between requests; and where another process has the folder, this fails first.
        self.base = session.Session(path)
        self.spool = os.path.join(path, "front-spool")
        os.makedirs(self.spool, exist_ok=True)
        for left_over in os.scandir(self.spool):
            os.unlink(left_over.path)

    def answer(self, asked: Asked) -> Answered:
        """Runs the statement. The engine's errors come as RuntimeError with ClickHouse's text."""
        if asked.insert is None:
            return self._run(asked, asked.statement)
        # The data is whole before the statement starts: a client that goes away in the middle inserts nothing.
        path = self._spooled(asked.insert)
        try:
            return self._run(asked, asked.insert.from_file(path))
        finally:
            os.unlink(path)

    def _spooled(self, insert: Insert) -> str:
        with tempfile.NamedTemporaryFile(dir=self.spool, delete=False) as file:
            try:
                file.writelines(insert.data)
            except BaseException:
                os.unlink(file.name)
                raise
        return file.name

    def _run(self, asked: Asked, statement: str) -> Answered:
        if asked.format.lower() in NO_FORMATS:
            raise RuntimeError(f"Code: 73. DB::Exception: Unknown format {asked.format}. (UNKNOWN_FORMAT)")
        began = time.monotonic_ns()
        own = session.Session(self.path)
        try:
            for name, value in asked.settings.items():
                own.query(f"SET {identifier(name)} = {literal(value)}")
            if asked.database != "default":
                own.query(f"USE {quoted(asked.database)}")
            result = own.query(statement, asked.format, params=asked.parameters)
            return Answered(result.bytes() or b"", result.rows_read(), result.bytes_read(), result.rows_written(),
                            result.bytes_written(), time.monotonic_ns() - began)
        finally:
            own.close()


def identifier(name: str) -> str:
    """A setting's name, which comes from the URL."""
    if not name.replace("_", "").isalnum():
        raise RuntimeError(f"Code: 115. DB::Exception: Unknown setting '{name}'. (UNKNOWN_SETTING)")
    return name


def quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
