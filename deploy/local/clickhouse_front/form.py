"""multipart/form-data (RFC 7578): how the Rust client sends a query with parameters."""

import re

from .body import Malformed

BOUNDARY = re.compile(r'\bboundary=(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)
NAME = re.compile(rb'\bname="([^"]*)"', re.IGNORECASE)


def is_form(headers) -> bool:
    return headers.get("Content-Type", "").strip().lower().startswith("multipart/form-data")


def fields(headers, body: bytes) -> dict[str, str]:
    """The form's fields by name."""
    boundary = BOUNDARY.search(headers["Content-Type"])
    if boundary is None:
        raise Malformed("the form has no boundary")
    delimiter = b"\r\n--" + (boundary[1] or boundary[2]).encode()
    first, *parts = (b"\r\n" + body).split(delimiter)
    if first or not parts or not parts.pop().startswith(b"--"):
        raise Malformed("the form does not begin or end with its boundary")
    return dict(field(part) for part in parts)


def field(part: bytes) -> tuple[str, str]:
    head, found, value = part.partition(b"\r\n\r\n")
    name = NAME.search(head)
    if not found or name is None:
        raise Malformed("a field of the form has no name")
    if b"filename=" in head.lower():
        raise Malformed("tables sent with a query are not taken")
    try:
        return name[1].decode(), value.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a field of the form is not UTF-8") from error
