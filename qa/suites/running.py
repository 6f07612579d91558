"""Running a suite, and what came of each of its tests."""

from __future__ import annotations

import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from suites.ways import Way

#: Seconds for one suite; those of CPython that start processes take some minutes on a busy machine.
LIMIT = 3600
#: The worst of what can come of one test comes last.
ORDER = ("skipped", "passed", "failed")


@dataclass(frozen=True)
class Suite:
    """A suite: for CPython's own runner of tests a name, for pytest files and folders."""

    name: str
    runner: str
    targets: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    #: Names of tests that pytest leaves out.
    without: str = ""

    def words(self, report: Path, folder: Path) -> list[str]:
        """Return what follows ``python`` in the command that writes a JUnit file to ``report``."""
        if self.runner == "regrtest":
            return ["-m", "test", "--tempdir", str(folder), "--junit-xml", str(report), *self.targets]
        settings = folder / "pytest.ini"
        settings.write_text("[pytest]\npython_files = *_test.py\n", encoding="utf-8")
        options = [
            "-q",
            "--continue-on-collection-errors",
            "-p",
            "no:cacheprovider",
            "-c",
            str(settings),
            "--rootdir",
            str(folder),
        ]
        chosen = ["-k", self.without] if self.without else []
        return ["-m", "pytest", *options, "--junitxml", str(report), *chosen, *self.targets]


@dataclass(frozen=True)
class Run:
    """The exit status of a suite, and by test how often it passed, failed and was skipped."""

    status: int
    tests: Mapping[str, Mapping[str, int]]
    seconds: float
    #: The end of what it printed, to find out why.
    tail: str

    def count(self, outcome: str) -> int:
        """Return how many tests ended with ``outcome``."""
        return sum(1 for found in self.tests.values() if summarise(found) == outcome)


def run_suite(suite: Suite, way: Way, folder: Path, only: Sequence[str] = ()) -> Run:
    """Run ``suite`` in ``folder``, a new one; with ``only`` these of its tests, by regrtest's patterns.

    Raises TimeoutExpired after `LIMIT`.
    """
    folder.mkdir(parents=True)
    report = folder / "report.xml"
    words = suite.words(report, folder)
    for plugin in way.plugins:
        words += ["-p", plugin]
    if suite.runner == "regrtest":
        words[2:2] = [word for name in only for word in ("-m", name)]
    environment = way.environment(folder) | dict(suite.variables)
    begin = time.monotonic()
    done = subprocess.run(
        way.command(*words),
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LIMIT,
        check=False,
    )
    tail = done.stdout.decode("utf-8", "replace")[-3000:]
    tests = read_report(report) if report.exists() else {}
    return Run(done.returncode, tests, time.monotonic() - begin, tail)


def read_report(file: Path) -> dict[str, Counter[str]]:
    """Return what a JUnit file tells of each test. Raises ParseError where it is none.

    A test may stand there more than once, as where its set-up fails as well.
    """
    tests: dict[str, Counter[str]] = {}
    for case in ElementTree.parse(file).getroot().iter("testcase"):  # noqa: S314 - written a moment ago
        name = ".".join(filter(None, (case.get("classname"), case.get("name"))))
        tests.setdefault(name, Counter())[_read_outcome(case)] += 1
    return tests


def _read_outcome(case: ElementTree.Element) -> str:
    kinds = {child.tag for child in case}
    if kinds & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in kinds or case.get("result") == "skipped" else "passed"


def summarise(outcomes: Mapping[str, int]) -> str:
    """Return the worst of what came of one test."""
    return max(outcomes, key=ORDER.index)


def is_available(python: str, module: str) -> bool:
    """Return whether the interpreter ``python`` ships the tests named ``module``."""
    done = subprocess.run([python, "-c", f"import test.{module}"], capture_output=True, check=False)
    return done.returncode == 0


def this_python() -> str:
    """Return the interpreter that is no virtual environment, which made that of this process."""
    return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}")
