"""What the runners said, summed."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
RUST = "test result: {}. {} passed; {} failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s\n"


class Count(unittest.TestCase):
    def said(self, text: str):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as output:
            output.write(text)
            output.flush()
            done = subprocess.run([sys.executable, HERE / "count_tests.py", output.name], capture_output=True, text=True)
            return done.stdout, done.returncode

    def test_all_runners_are_summed(self):
        text = RUST.format("ok", 3, 0) + "noise\n" + RUST.format("ok", 40, 0) + "Ran 5 tests in 1.2s\n\nOK (skipped=1)\n"
        self.assertEqual(self.said(text), ("47 passed, 0 failed\n", 0))

    def test_a_failure_anywhere_is_seen(self):
        self.assertEqual(self.said(RUST.format("FAILED", 3, 1)), ("3 passed, 1 failed\n", 1))
        self.assertEqual(self.said("Ran 5 tests in 1s\n\nFAILED (failures=1, errors=2)\n"), ("2 passed, 3 failed\n", 1))

    def test_nothing_ran(self):
        self.assertEqual(self.said("error: could not compile\n"), ("0 passed, 0 failed\n", 1))
