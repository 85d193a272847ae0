"""Errors as ClickHouse says them over HTTP: the line of text, its code, and the status that follows from the code."""

import re

from . import framing, native

CODE = re.compile(r"\bCode: (\d+)\.")
REPEATED = re.compile(r"\A(Code: \d+\. DB::Exception: )(?=Code: \d+\. DB::Exception: )")

# As ClickHouse's src/Server/HTTP/exceptionCodeToHTTPStatus.cpp has it; every other code is a 500.
STATUSES = {
    400: {6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676},
    401: {194},
    403: {192, 193, 497, 512, 516},
    404: {46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511},
    408: {159},
    411: {381},
    413: {229},
    415: {779},
    501: {48},
    503: {76, 209, 439},
}
STATUS_OF = {code: status for status, codes in STATUSES.items() for code in codes}
UNKNOWN_EXCEPTION = 1002


def code_of(text: str) -> int:
    """The first code of the text, all of its digits: 530 is not 53."""
    found = CODE.search(text)
    return int(found[1]) if found else UNKNOWN_EXCEPTION


def status_of(code: int) -> int:
    return STATUS_OF.get(code, 500)


def text_of(error: Exception) -> str:
    """ClickHouse's usual line."""
    if isinstance(error, framing.BadFrame):
        return f"Code: 271. DB::Exception: {error}. (CANNOT_DECOMPRESS)"
    if isinstance(error, native.Unknown):
        return f"Code: 48. DB::Exception: The local front cannot write {error} for this client. (NOT_IMPLEMENTED)"
    # The engine repeats its prefix when an error passes through it twice.
    text = REPEATED.sub("", str(error).strip())
    return text if CODE.match(text) else f"Code: {code_of(text)}. DB::Exception: {text}"
