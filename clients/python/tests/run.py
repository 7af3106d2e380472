"""Runs these tests: one line a test, then "N passed, N failed". `python3 -m unittest discover -s clients/python/tests` does, too, with clients/python in PYTHONPATH.

    KARTA_SERVER_BIN=target/debug/karta-server python3 clients/python/tests/run.py [part of a name…]
"""

from __future__ import annotations

import sys
import time
import unittest
from pathlib import Path
from typing import Any, Iterator, Set

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
# The package as it stands here, before any that may be installed.
sys.path[:0] = [str(HERE.parent), str(HERE)]


class Result(unittest.TextTestResult):
    """Counts tests, not assertions: one with three failed subtests is one."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.broken: Set[str] = set()
        self.ended: Set[str] = set()

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._began = time.monotonic()

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self.ended.add(test.id())
        took = (time.monotonic() - self._began) * 1000
        print(f"{'FAIL ' if test.id() in self.broken else 'ok   '} {test.id()} ({took:.0f} ms)")

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        # Also what breaks outside a test: a file that cannot be imported, a class that cannot be set up.
        super().addError(test, err)
        self.broken.add(test.id())

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self.broken.add(test.id())

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.broken.add(test.id())

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        super().addUnexpectedSuccess(test)
        self.broken.add(test.id())


def each(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from each(test)
        else:
            yield test


def main() -> int:
    wanted = sys.argv[1:]
    tests = list(each(unittest.defaultTestLoader.discover(str(HERE), top_level_dir=str(HERE))))
    chosen = [test for test in tests if not wanted or any(part in test.id() for part in wanted)]
    result = unittest.TextTestRunner(stream=sys.stdout, resultclass=Result, verbosity=0).run(unittest.TestSuite(chosen))
    assert isinstance(result, Result)
    skipped = {test.id() for test, _ in result.skipped}
    failed = len(result.broken)
    passed = len(result.ended - result.broken - skipped)
    if skipped:
        print("\n".join(f"skipped: {test.id()}: {reason}" for test, reason in result.skipped))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
