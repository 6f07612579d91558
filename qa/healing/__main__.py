"""``PYTHONPATH=qa:tests python -m healing cases|bugs|page [WORDS…]``, from a checkout.

``cases`` has ``heal`` run each program of `dying_programs.CASES`, or those whose names contain one of the
words; ``bugs`` counts the false cures of programs with bugs of their own, five searches each. The figures are
kept in ``results.json``; ``page`` renews the table of ``qa/healing.md`` with them, and so do the others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import plugin_double
from autoxla import __version__
from autoxla.policies.cures import name_settings
from benchmarks import make_header
from benchmarks.paths.table import fill
from benchmarks.tables import format_table
from dying_programs import BUGS, CASES, CHANGING, REAL_BUGS, Case, make_environment_without
from programs import HOME, clean_environment

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[1] / "healing.md"
#: Searches for each program with a bug.
SEARCHES = 5
#: Characters of a cell of the table.
_LONGEST = 60


def main(words: Sequence[str]) -> int:
    """Run what ``words`` name, keep the figures and renew the page; return the exit status."""
    what, parts = next(iter(words), ""), words[1:]
    if what == "cases":
        for name, case in CASES.items():
            if not parts or any(part in name for part in parts):
                keep("cases", name, run_case(case))
    elif what == "bugs":
        for name in (*BUGS, *REAL_BUGS):
            keep("bugs", name, run_bug(name))
    elif what != "page":
        print(__doc__)
        return 2
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), {"measured": render(results)}), encoding="utf-8")
    return 0


def keep(kind: str, name: str, row: object) -> None:
    """Keep what came of one program beside the others."""
    print(name, row, flush=True)
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results.setdefault(kind, {})[name] = row
    releases = {each: version(each) for each in ("tensorflow", "keras", "tf_keras")}
    results |= make_header({"autoxla": __version__, **releases})
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def run_case(case: Case) -> dict[str, Any]:
    """Return what heal says of ``case``, whether that is right, and how long it took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "program"
        folder.mkdir()
        case.write(folder)
        variables, interpreter = {"HOME": str(folder), **case.variables}, Path(sys.executable)
        if case.needs == "itex":
            plugin_double.build(Path(name))
            variables |= plugin_double.environment(Path(name), HOME)
        elif case.needs:
            interpreter = make_environment_without("tf_keras", Path(name) / "environment")
        told = heal(folder, case.words, variables, interpreter)
    cure = None if told["cure"] is None else told["cure"]["variables"]
    return {
        "dies of": told["runs"][0]["death"],
        "end": told["end"],
        "cure": cure,
        "found after": told["found_after"],
        "runs": len(told["runs"]),
        "seconds": told["seconds"],
        "is right": case.outcome in (cure, told["end"]),
    }


def run_bug(name: str) -> dict[str, int]:
    """Return how `SEARCHES` searches for a cure of a program with a bug of its own end."""
    ends: dict[str, int] = {}
    for seed in range(SEARCHES):
        with tempfile.TemporaryDirectory() as folder:
            code = CHANGING.format(seed=seed) + {**BUGS, **REAL_BUGS}[name]
            Path(folder, "train.py").write_text(code, encoding="utf-8")
            variables = {}
            if name in BUGS:
                # An empty stand-in: what is real takes seconds to import.
                site = Path(folder, "elsewhere", "site-packages")
                site.mkdir(parents=True)
                (site / "tensorflow.py").touch()
                variables["PYTHONPATH"] = f"{site}{os.pathsep}{HOME}"
            end = heal(Path(folder), ("train.py",), variables)["end"]
        ends[end] = ends.get(end, 0) + 1
    return ends


def heal(
    folder: Path, words: Sequence[str], variables: Mapping[str, str], interpreter: Path = Path(sys.executable)
) -> dict[str, Any]:
    """Return what ``heal --json`` prints of a program."""
    environment = clean_environment(AUTOXLA_CACHE=str(folder / "cache"), **variables)
    if interpreter != Path(sys.executable):
        del environment["PYTHONPATH"]  # it has an autoxla of its own
    done = subprocess.run(
        [str(interpreter), "-m", "autoxla", "heal", "--yes", "--json", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def render(results: Mapping[str, Any]) -> str:
    """Return the table of the cases, and in words what came of the bugs."""
    rows, cases, bugs = [], results.get("cases", {}), results.get("bugs", {})
    for name, row in cases.items():
        cure = f"`{name_settings(row['cure'])}`" if row["cure"] else row["end"]
        death = "" if row["dies of"] is None else row["dies of"].split(" at ")[0].split(":")[0]
        found = str(row["found after"] or "")
        rows.append([name, death[:_LONGEST], cure, found, str(row["runs"]), f"{row['seconds']:.0f}"])
    found_after = [row["found after"] for row in cases.values() if row["found after"]] or [0]
    table = format_table(("program", "dies of", "outcome", "found", "runs", "s"), rows)
    searches = sum(sum(ends.values()) for ends in bugs.values())
    false = sum(ends.get("cured", 0) for ends in bugs.values())
    return (
        f"{table}\n\nThe first run that lives is number {median(found_after):.0f} in the median. "
        f"Of {searches} searches over {len(bugs)} programs with bugs of their own, some of which "
        f"die at random, {false or 'none'} claimed a cure."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
