"""The engine's errors as HTTP says them: ClickHouse's code decides the status."""

import re

CODE = re.compile(r"\bCode: (\d+)\.")

# Of ClickHouse's table of codes and statuses: what a client can bring about.
NOT_FOUND = {16, 36, 46, 47, 48, 50, 52, 60, 73, 79, 81, 115}
BAD_REQUEST = {6, 26, 27, 38, 41, 42, 43, 44, 53, 62, 69, 70, 72, 108, 117, 130, 131, 349, 386, 456, 457}
FORBIDDEN = {192, 193, 194, 497, 516}


def code_of(text: str) -> int:
    """The first code of the text; 1002 (unknown exception) where there is none."""
    found = CODE.search(text)
    return int(found[1]) if found else 1002


def status_of(code: int) -> int:
    if code in FORBIDDEN:
        return 403
    if code in NOT_FOUND:
        return 404
    if code in BAD_REQUEST:
        return 400
    return 500


def text_of(error: Exception) -> str:
    """ClickHouse's usual line. The engine repeats its prefix when an error passes through it twice."""
    text = str(error).strip()
    text = re.sub(r"\A(Code: \d+\. DB::Exception: )(?=Code: \d+\. DB::Exception: )", "", text)
    return text if CODE.match(text) else f"Code: {code_of(text)}. DB::Exception: {text}"
