"""python3 count_tests.py FILE: sums what the test runners said, and fails where a test failed or none ran."""

import re
import sys

RUST = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed;", re.MULTILINE)
PYTHON = re.compile(r"^Ran (\d+) tests? in .*\n\n(?:OK|FAILED)(?: \((.*)\))?$", re.MULTILINE)
LOST = re.compile(r"(failures|errors|skipped)=(\d+)")


def counted(text: str) -> tuple[int, int]:
    """How many passed, and how many failed."""
    passed = failed = 0
    for good, bad in RUST.findall(text):
        passed, failed = passed + int(good), failed + int(bad)
    for ran, losses in PYTHON.findall(text):
        lost = {kind: int(count) for kind, count in LOST.findall(losses)}
        passed += int(ran) - sum(lost.values())
        failed += lost.get("failures", 0) + lost.get("errors", 0)
    return passed, failed


def main():
    with open(sys.argv[1], errors="replace") as output:
        passed, failed = counted(output.read())
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0 or passed == 0)


if __name__ == "__main__":
    main()
