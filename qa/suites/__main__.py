"""``PYTHONPATH=qa:tests python -m suites [cpython] [keras] [tf_keras] [--python FILE …] [--json FILE]``.

Runs suites that were not written for autoxla in environments without it and with it, and prints what differs.

* ``cpython``: those of the standard library that deal with imports and starts, in each interpreter of
  ``--python`` (this one without) that ships its tests.
* ``keras``: those that the wheel of Keras ships, by folders.
* ``tf_keras``: its wheel ships none; ``--source`` names a tree of its sources of the same release.

Where a test did not end alike, its suite runs again, twice, in both ways: what differs each time is a
difference, and what does not repeat itself is listed apart. Ends with status 1 where anything differs. With
``--json`` the results are added to those in the file.
"""

from __future__ import annotations

import datetime
import json
import platform
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from installations import build_wheel
from suites.catalogue import CPYTHON, find_keras, prepare_tf_keras
from suites.comparing import Difference, compare, compare_statuses
from suites.forced import read_trials
from suites.running import Run, Suite, is_available, run_suite, this_python
from suites.ways import PLAIN, Way, make_ways

#: How often a suite runs again where anything differs.
AGAIN = 2


def main() -> int:
    """Run what is asked for and return the exit status."""
    arguments = read_arguments()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for row in run_all(arguments, Path(folder)):
            found.append(row)
            print(describe(row), flush=True)
            if arguments.json is not None:
                keep(arguments.json, row)
    return 1 if any(row["differences"] for row in found) else 0


def read_arguments() -> Namespace:
    """Return the command line."""
    parser = ArgumentParser("python -m suites", allow_abbrev=False)
    parser.add_argument("families", nargs="*", help="cpython, keras, tf_keras; all by default")
    parser.add_argument("--python", nargs="+", default=[this_python()], help="interpreters for cpython")
    parser.add_argument("--way", nargs="+", default=[], help="the ways to compare with the plain one")
    parser.add_argument("--only", nargs="+", default=[], help="names of suites")
    parser.add_argument("--source", type=Path, help="tree of the sources of tf_keras")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the results")
    arguments = parser.parse_args()
    arguments.families = arguments.families or ["cpython", "keras", *["tf_keras"] * bool(arguments.source)]
    return arguments


def run_all(arguments: Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Run all suites that are asked for and return what came of each, way by way."""
    wheel = build_wheel(folder)
    if "cpython" in arguments.families:
        for index, python in enumerate(arguments.python):
            place = folder / f"python{index}"
            ways = choose(make_ways(python, place, wheel, frameworks=False), arguments.way)
            suites = [suite for suite in CPYTHON if is_available(python, suite.name)]
            yield from run_family(suites, ways, place, arguments.only, describe_python(python))
    families = [("keras", find_keras)] if "keras" in arguments.families else []
    if "tf_keras" in arguments.families:
        families.append(("tf_keras", lambda: prepare_tf_keras(arguments.source, folder / "sources")))
    for name, find in families:
        place = folder / name
        ways = choose(make_ways(sys.executable, place, wheel, frameworks=True), arguments.way)
        title = f"{name} {version(name)}, Python {platform.python_version()}"
        yield from run_family(find(), ways, place, arguments.only, title)


def choose(ways: Mapping[str, Way], names: Sequence[str]) -> dict[str, Way]:
    """Return the plain way and those that are named, all without names."""
    return {name: way for name, way in ways.items() if not names or name in (PLAIN, *names)}


def describe_python(python: str) -> str:
    """Return what an interpreter calls itself."""
    code = "import platform; print(platform.python_implementation(), platform.python_version())"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def run_family(
    suites: Sequence[Suite], ways: Mapping[str, Way], folder: Path, only: Sequence[str], title: str
) -> Iterator[dict[str, Any]]:
    """Run ``suites`` in each of ``ways`` and return a row for each that is not the plain one."""
    for suite in suites:
        if only and suite.name not in only:
            continue
        runs = {name: [run_suite(suite, way, folder / f"{suite.name} {name}")] for name, way in ways.items()}
        for name in (name for name in ways if name != PLAIN):
            repeat(suite, ways, runs, name, folder)
            yield make_row(suite, title, name, runs[PLAIN], runs[name])


def repeat(
    suite: Suite, ways: Mapping[str, Way], runs: Mapping[str, list[Run]], name: str, folder: Path
) -> None:
    """Run ``suite`` again in the plain way and in that of ``name`` while anything differs for certain."""
    for _ in range(AGAIN):
        if not any(difference.is_certain for difference in find_differences(runs[PLAIN], runs[name])):
            return
        for way in (PLAIN, name):
            place = folder / f"{suite.name} {way} {len(runs[way])}"
            runs[way].append(run_suite(suite, ways[way], place))


def find_differences(plain: Sequence[Run], other: Sequence[Run]) -> list[Difference]:
    """Return all that is not alike, the exit status first."""
    status = compare_statuses(plain, other)
    return [*([status] if status else []), *compare(plain, other)]


def make_row(
    suite: Suite, title: str, way: str, plain: Sequence[Run], other: Sequence[Run]
) -> dict[str, Any]:
    """Return what is kept of the runs of a suite in one way beside the plain one."""
    found = find_differences(plain, other)
    return {
        "suite": suite.name,
        "of": title,
        "way": way,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "tests": len(plain[0].tests),
        **{outcome: plain[0].count(outcome) for outcome in ("passed", "failed", "skipped")},
        "status": plain[0].status,
        "seconds": [round(plain[0].seconds), round(other[0].seconds)],
        "runs": [len(plain), len(other)],
        "differences": [asdict(difference) for difference in found if difference.is_certain],
        "unsteady": [asdict(difference) for difference in found if not difference.is_certain],
        "trials": read_trials(other[0].tail),
        "tail": other[0].tail if not other[0].tests else "",
    }


def describe(row: Mapping[str, Any]) -> str:
    """Return a row as lines."""
    counts = ", ".join(f"{row[name]} {name}" for name in ("passed", "failed", "skipped"))
    first = (
        f"{row['of']}: {row['suite']}, {row['way']}: {row['tests']} tests ({counts}), "
        f"{len(row['differences'])} differ, {len(row['unsteady'])} unsteady"
    )
    lines = (
        f"  {kind}: {found['test']}: plain {'/'.join(found['plain'])}, here {'/'.join(found['other'])}"
        for kind in ("differences", "unsteady")
        for found in row[kind]
    )
    trials = [f"  {row['trials']}"] if row["trials"] else []
    return "\n".join([first, *trials, *lines, *([row["tail"]] if row["tail"] else [])])


def keep(file: Path, row: Mapping[str, Any]) -> None:
    """Put ``row`` into ``file`` in the place of an earlier one of the same suite, release and way."""
    rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    names = ("of", "suite", "way")
    others = [other for other in rows if any(other[name] != row[name] for name in names)]
    ordered = sorted([*others, dict(row)], key=lambda each: [each[name] for name in names])
    file.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
