"""The body of a request: bounded, whole or not at all, and taken a piece at a time."""

import re
from typing import BinaryIO, Iterator

from . import framing

# What one request may bring, as it comes over the wire.
LARGEST = 1 << 30
PIECE = 1 << 18
CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,16}(?=\s*(?:;|\Z))")


class Malformed(ValueError):
    """The body cannot be read, and neither can what follows it on the connection."""


class TooLarge(Exception):
    """The body is larger than is taken."""


class Incomplete(ConnectionError):
    """The client went away in the middle. Nothing of its statement may run: rows cut off are not what it meant."""


def open_body(headers, stream: BinaryIO):
    """The body that the headers announce."""
    if headers.get("Transfer-Encoding", "").strip().lower() == "chunked":
        return Chunked(stream)
    announced = headers.get("Content-Length") or "0"
    if not announced.isdecimal():
        raise Malformed("its Content-Length is no number")
    length = int(announced)
    if length > LARGEST:
        raise TooLarge(f"a body of {length} bytes is not taken, only up to {LARGEST}")
    return Sized(stream, length)


def pieces(body, compressed: bool) -> Iterator[bytes]:
    """What the client sent, without its compression."""
    if compressed:
        return framing.decompress(body)
    return iter(lambda: body.read(PIECE), b"")


class Sized:
    """A body of a known length."""

    def __init__(self, stream: BinaryIO, length: int):
        self.stream, self.left = stream, length

    def read(self, size: int) -> bytes:
        """Up to `size` bytes: fewer only at the end."""
        wanted = min(size, self.left)
        data = self.stream.read(wanted)
        if len(data) < wanted:
            raise Incomplete
        self.left -= wanted
        return data


class Chunked:
    """A body in chunks (RFC 9112, section 7.1), whose length shows at its end."""

    def __init__(self, stream: BinaryIO):
        self.stream, self.total, self.left, self.ended = stream, 0, 0, False

    def read(self, size: int) -> bytes:
        """Up to `size` bytes: fewer only at the end."""
        parts = []
        while size and not self.ended:
            if not self.left:
                self._next_chunk()
                continue
            data = self.stream.read(min(size, self.left))
            if not data:
                raise Incomplete
            parts.append(data)
            size -= len(data)
            self.left -= len(data)
            if not self.left:
                self._line()
        return b"".join(parts)

    def _next_chunk(self):
        size = CHUNK_SIZE.match(self._line())
        if size is None:
            raise Malformed("a chunk has no size")
        self.left = int(size[0], 16)
        self.total += self.left
        if self.total > LARGEST:
            raise TooLarge(f"a body of over {LARGEST} bytes is not taken")
        if self.left == 0:
            while self._line():
                pass
            self.ended = True

    def _line(self) -> bytes:
        line = self.stream.readline(8192)
        if not line.endswith(b"\n"):
            raise Incomplete
        return line.strip()
