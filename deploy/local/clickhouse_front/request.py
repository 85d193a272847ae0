"""What a request asks: the statement, its settings and parameters, and the data of an INSERT."""

import re
from dataclasses import dataclass, field

# Arguments of the URL that are the interface's own; every other one is a setting of the query.
OWN = {"query", "database", "user", "password", "default_format", "compress", "decompress", "query_id", "session_id",
       "session_timeout", "session_check", "role", "quota_key", "wait_end_of_query", "buffer_size", "close_session",
       "client_protocol_version", "enable_http_compression", "http_zlib_compression_level", "stacktrace",
       "send_progress_in_http_headers", "http_headers_progress_interval_ms"}

# An INSERT whose data comes with the request: everything up to and with the name of its format.
INSERT_WITH_DATA = re.compile(
    rb"\A\s*(?P<into>INSERT\s+INTO\s(?:(?!\b(?:SETTINGS|SELECT|VALUES)\b).)*?)"
    rb"(?P<settings>\bSETTINGS\s+(?:(?!\b(?:FORMAT|SELECT|VALUES)\b).)*)?\bFORMAT\s+(?P<format>\w+)[ \t]*;?(?:\r?\n|[ \t]|\Z)",
    re.IGNORECASE | re.DOTALL)


@dataclass
class Asked:
    """A request, taken apart."""

    statement: bytes
    data: bytes = b""
    database: str = "default"
    default_format: str = "TabSeparated"
    settings: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)


def take_apart(arguments: dict[str, str], headers, body: bytes) -> Asked:
    """A query in the URL goes before the body; without one, the body is the query and what follows it."""
    query = arguments.get("query", "").encode()
    whole = query + (b"\n" if query and body else b"") + body
    insert = INSERT_WITH_DATA.match(whole)
    statement, data = (whole, b"") if insert is None else (whole[: insert.end()], whole[insert.end() :])
    return Asked(
        statement=statement,
        data=data,
        database=arguments.get("database") or headers.get("X-ClickHouse-Database") or "default",
        default_format=arguments.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated",
        settings={name: value for name, value in arguments.items() if name not in OWN and not name.startswith("param_")},
        parameters={name.removeprefix("param_"): value for name, value in arguments.items() if name.startswith("param_")},
    )


def takes_data(statement: bytes) -> bool:
    """Whether the statement is an INSERT whose data comes with the request."""
    return INSERT_WITH_DATA.match(statement) is not None


def from_file(statement: bytes, path: str) -> str:
    """The same INSERT, with its data in a file."""
    insert = INSERT_WITH_DATA.match(statement)
    into, settings, form = (insert[name] or b"" for name in ("into", "settings", "format"))
    return f"{into.decode()} FROM INFILE '{path}' {settings.decode()} FORMAT {form.decode()}"
