"""How an answer is packed: in ClickHouse's own blocks where the URL says `compress=1`, else as HTTP negotiates it."""

import gzip
from typing import Optional

import lz4.frame

from . import framing

# ClickHouse's order of preference among those of Accept-Encoding that this front can do.
ENCODERS = {"lz4": lz4.frame.compress, "gzip": lambda data: gzip.compress(data, compresslevel=3)}


def packed(data: bytes, arguments: dict[str, str], headers) -> tuple[bytes, Optional[str]]:
    """The bytes to send, and their Content-Encoding where they have one."""
    if arguments.get("compress") == "1":
        return b"".join(framing.compress(data)), None
    if arguments.get("enable_http_compression", "1") == "1" and data:
        accepted = {one.split(";")[0].strip().lower() for one in headers.get("Accept-Encoding", "").split(",")}
        for name, encode in ENCODERS.items():
            if name in accepted:
                return encode(data), name
    return data, None
