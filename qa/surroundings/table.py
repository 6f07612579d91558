"""The tables of `docs/faults.md`, made from ``results.json`` and ``inputs.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.paths.table import fill
from benchmarks.tables import format_table

RESULTS = Path(__file__).with_name("results.json")
INPUTS = Path(__file__).with_name("inputs.json")
PAGE = Path(__file__).parents[1] / "faults.md"


def render(results: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    """Return all tables as Markdown."""
    parts = [_HOW, _summary(results)]
    for group, cases in results["groups"].items():
        parts += [f"### {group}", format_table(_HEAD, map(_row, cases))]
    parts += ["### Killed writers", _KILLED, format_table(_TOLL_HEAD, map(_toll, results["kills"]))]
    if inputs:
        parts += ["### Inputs tried on the readers", _TRIED, _inputs(inputs)]
    return "\n\n".join(part for part in parts if part)


_HOW = """\
Each case runs a program plain and with autoxla under the same trouble; standard output and exit status have
to be the same, and neither may hang. `PYTHONPATH=qa:tests python -m surroundings` runs all; the gate runs
most (`tests/test_surroundings.py`).

*(double)*: a library in `LD_PRELOAD` gives the errors that the kernel gives, at the calls where it gives
them, or never returns; the clock is put off in the same way. What is not called through glibc passes it by.
*(tmpfs)*, *mount* and *(FUSE)* are the real thing, for root only: a file system that is full, one that is
read-only, and one whose server never answers. The state of the interpreter is changed by the program itself
before, or after, it imports Keras, with autoxla launched, imported in front of the change and imported
behind it. Most programs have a stand-in for Keras; what happens while XLA compiles is tried with
TensorFlow."""
_HEAD = ("case", "status", "with autoxla", "output", "s", "with autoxla, s")
_KILLED = """\
Writers are killed by `SIGKILL`, each at a moment of its own. *Damaged*: records that are not what some
writer wrote. *Halves*: unfinished files."""
_TRIED = """\
Once, with `HYPOTHESIS_PROFILE=long` (`python -m surroundings inputs`).
The gate tries some hundred of each."""
_TOLL_HEAD = ("what is written", "kills", "damaged", "halves at most", "after the next write")


def _summary(results: Mapping[str, Any]) -> str:
    cases = [case for group in results["groups"].values() for case in group]
    same = sum(case["same"] for case in cases)
    return (
        f"{same} of {len(cases)} cases end with the same output and status with autoxla as without. "
        f"CPython {results['python']}, {results['system']}, {results['date']}."
    )


def _row(case: Mapping[str, Any]) -> list[str]:
    plain, ours = ("hangs" if status is None else str(status) for status in case["status"])
    output = "the same" if case["output"] else "**another**"
    return [case["case"], plain, ours, output, *(f"{seconds:.1f}" for seconds in case["seconds"])]


def _toll(toll: Mapping[str, Any]) -> list[str]:
    return [str(toll[name]) for name in ("what", "kills", "damaged", "most_halves", "halves_at_end")]


def _inputs(inputs: Mapping[str, Any]) -> str:
    rows = ([row["reader"], row["property"], f"{row['inputs']:,}"] for row in inputs["readers"])
    total = sum(row["inputs"] for row in inputs["readers"])
    return f"{format_table(('reader', 'property', 'inputs'), rows)}\n\n{total:,} in all, {inputs['date']}."


def load(file: Path) -> dict[str, Any]:
    """Return what a file of results holds, empty where it is not there."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def renew(page: str) -> str:
    """Return ``page`` with the tables in their place. Raises ValueError where it has none."""
    return fill(page, {"surroundings": render(load(RESULTS), load(INPUTS))})


def write() -> None:
    """Renew the tables in the page."""
    PAGE.write_text(renew(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
