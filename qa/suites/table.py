"""The tables of other people's suites in `qa/suites.md`, made from the results.

``PYTHONPATH=qa:tests python -m suites.table`` writes them between two marks; what is outside of
them is written by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.paths.table import fill
from benchmarks.tables import format_table

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[1] / "suites.md"
HEAD = ("suite", "tests", "passed", "failed", "skipped", "with autoxla", "that differ", "unsteady")


def load(file: Path = RESULTS) -> list[dict[str, Any]]:
    """Return the rows that were kept."""
    rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return rows


def render(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table for each program under test, and below what differs."""
    parts = [f"{_sum(rows)}"]
    for title in dict.fromkeys(row["of"] for row in rows):
        chosen = [row for row in rows if row["of"] == title]
        parts += [f"### {title}", _table(chosen), *_list(chosen)]
    return "\n\n".join(parts)


def _sum(rows: Sequence[Mapping[str, Any]]) -> str:
    tests, differences, unsteady = (
        sum(row["tests"] for row in rows),
        sum(len(row["differences"]) for row in rows),
        sum(len(row["unsteady"]) for row in rows),
    )
    return (
        f"{tests:,} tests were run with autoxla beside the same ones without: {differences} differ, "
        f"{unsteady} did not repeat themselves."
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for suite in dict.fromkeys(row["suite"] for row in rows):
        chosen = [row for row in rows if row["suite"] == suite]
        first = chosen[0]
        counts = (f"{first[name]:,}" for name in ("tests", "passed", "failed", "skipped"))
        ways = ", ".join(row["way"] for row in chosen)
        ends = (str(sum(len(row[name]) for row in chosen)) for name in ("differences", "unsteady"))
        lines.append([f"`{suite}`", *counts, ways, *ends])
    return format_table(HEAD, lines)


def _list(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    lines = [
        f"* {title}: `{found['test']}` ({row['suite']}): plain {' / '.join(found['plain'])}, "
        f"{row['way']} {' / '.join(found['other'])}."
        for row in rows
        for title, kind in (("Differs", "differences"), ("Unsteady", "unsteady"))
        for found in row[kind]
    ]
    return ["\n".join(lines)] if lines else []


def renew(page: str) -> str:
    """Return ``page`` with the tables in their place. Raises ValueError where it has none."""
    return fill(page, {"suites": render(load())})


if __name__ == "__main__":
    PAGE.write_text(renew(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
