"""What a request asks: the statement, its settings and parameters, and the data of an INSERT."""

import re
from dataclasses import dataclass, field
from itertools import chain
from typing import Iterator, Optional

from .body import TooLarge

# Arguments of the URL that are the interface's own; every other one is a setting of the query.
OWN = {"query", "database", "user", "password", "default_format", "compress", "decompress", "query_id", "session_id",
       "session_timeout", "session_check", "role", "quota_key", "wait_end_of_query", "buffer_size", "close_session",
       "client_protocol_version", "enable_http_compression", "http_zlib_compression_level", "stacktrace",
       "send_progress_in_http_headers", "http_headers_progress_interval_ms"}

# An INSERT whose data comes with the request: everything up to and with the name of its format.
INSERT_WITH_DATA = re.compile(
    rb"\A(?:\s|--[^\n]*\n|/\*.*?\*/)*"
    rb"(?P<into>INSERT\s+(?:(?!\b(?:SETTINGS|SELECT|VALUES|INFILE)\b).)*?)"
    rb"(?P<settings>\bSETTINGS\s+(?:(?!\b(?:FORMAT|SELECT|VALUES)\b).)*)?"
    rb"\bFORMAT\s+(?P<format>\w+)[ \t]*;?(?:\r?\n|[ \t]|\Z)",
    re.IGNORECASE | re.DOTALL)
# The format that a statement names for its answer.
FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*\Z", re.IGNORECASE)

# An INSERT's head stands within this (ClickHouse's `max_query_size`) …
LONGEST_HEAD = 262_144
# … and any other statement, its VALUES included, within this: unlike data, it is held in memory.
LONGEST_STATEMENT = 64 << 20


@dataclass
class Insert:
    """An INSERT whose data comes with the request, a piece at a time."""

    into: str
    settings: str
    format: str
    data: Iterator[bytes]

    def from_file(self, path: str) -> str:
        """The same INSERT, with its data in a file."""
        return f"{self.into} FROM INFILE {literal(path)} {self.settings} FORMAT {self.format}"


@dataclass
class Asked:
    """A request, taken apart."""

    statement: str
    insert: Optional[Insert] = None
    database: str = "default"
    format: str = "TabSeparated"
    protocol_version: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)


def take_apart(arguments: dict[str, str], headers, pieces: Iterator[bytes]) -> Asked:
    """A query in the URL goes before the body; without one, the body is the query and what follows it."""
    head = arguments.get("query", "").rstrip().encode()
    separator = b"\n" if head else b""
    for piece in pieces:
        head, separator = head + separator + piece, b""
        if len(head) > LONGEST_HEAD:
            break
    found = INSERT_WITH_DATA.match(head)
    if found is None:
        statement, insert = whole(head, pieces).decode().rstrip().rstrip(";"), None
    else:
        statement = found[0].decode()
        into, settings, form = ((found[name] or b"").decode() for name in ("into", "settings", "format"))
        insert = Insert(into, settings, form, chain([head[found.end():]], pieces))
    named = FORMAT.search(statement)
    default = arguments.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated"
    return Asked(
        statement=statement,
        insert=insert,
        database=arguments.get("database") or headers.get("X-ClickHouse-Database") or "default",
        format=named[1] if named else default,
        protocol_version=int(arguments.get("client_protocol_version", "0")),
        settings={name: value for name, value in arguments.items() if name not in OWN and not name.startswith("param_")},
        parameters={name[len("param_"):]: value for name, value in arguments.items() if name.startswith("param_")},
    )


def whole(head: bytes, pieces: Iterator[bytes]) -> bytes:
    """The rest of a statement that is no INSERT with data."""
    parts, total = [head], len(head)
    for piece in pieces:
        parts.append(piece)
        total += len(piece)
        if total > LONGEST_STATEMENT:
            raise TooLarge(f"a statement of over {LONGEST_STATEMENT} bytes is not taken")
    return b"".join(parts)


def literal(text: str) -> str:
    """The text as SQL has it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
