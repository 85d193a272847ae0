"""A front of its own for tests: a process, and questions to it."""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

HERE = Path(__file__).resolve().parent.parent


@dataclass
class Said:
    status: int
    headers: dict
    data: bytes

    @property
    def text(self) -> str:
        return self.data.decode().strip()


class Front:
    """The front on a free port, over a folder that outlives the process."""

    def __init__(self, password=""):
        self.folder = tempfile.TemporaryDirectory()
        self.password = password
        self.start()

    def start(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "clickhouse_front", "--port", str(self.port), "--path", self.folder.name]
        surroundings = {**os.environ, "TZ": "UTC", "CLICKHOUSE_FRONT_PASSWORD": self.password}
        self.process = subprocess.Popen(command, cwd=HERE, env=surroundings, stderr=subprocess.PIPE)
        said = self.process.stderr.readline()
        if b"listening" not in said:
            raise RuntimeError(f"the front did not start: {said!r}")

    def kill(self):
        """As a power cut would: nothing is flushed."""
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def close(self):
        self.kill()
        self.folder.cleanup()

    def ask(self, body=b"", method="POST", headers=None, path="/", chunked=False, **arguments) -> Said:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        try:
            url = f"{path}?{urlencode(arguments)}"
            connection.request(method, url, body if body else None, headers or {}, encode_chunked=chunked)
            answer = connection.getresponse()
            return Said(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def sql(self, statement: str, **arguments) -> str:
        said = self.ask(statement.encode(), **arguments)
        if said.status != 200:
            raise AssertionError(said.text)
        return said.text
