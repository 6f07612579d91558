"""The table of compatibility, made from the results of the contract suite.

``nox -s compatibility`` writes it into `qa/compatibility.md`, between two marks; what is outside of them
is written by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.environments import ENVIRONMENTS, RECORDED

FOLDER = Path(__file__).with_name("results")
PAGE = Path(__file__).parents[2] / "qa" / "compatibility.md"
BEGIN, END = "<!-- made by nox -s compatibility: begin -->", "<!-- end -->"
#: What the columns of releases are called, and the distributions that count for them.
PACKAGES = {
    "TensorFlow": ("tensorflow", "tensorflow-cpu"),
    "Keras": ("keras",),
    "tf_keras": ("tf-keras",),
    "ITEX": ("intel-extension-for-tensorflow",),
    "JAX": ("jax",),
    "PyTorch": ("torch",),
    "NumPy": ("numpy",),
    "wrapt": ("wrapt",),
}
CELLS = {"passed": "ok", "failed": "**fails**", "not applicable": "n/a"}


@dataclass(frozen=True)
class Row:
    """What came of a row in one environment."""

    title: str
    outcome: str
    reason: str


@dataclass(frozen=True)
class Result:
    """What came of the suite in one environment."""

    environment: str
    date: str
    python: str
    packages: dict[str, str]
    rows: dict[str, Row]


def load(folder: Path = FOLDER) -> list[Result]:
    """Return the results in ``folder``, in the order of the environments.

    Raises ValueError where one lacks a row that another has.
    """
    files = [folder / f"{name}.json" for name in RECORDED]
    results = [_parse(json.loads(file.read_text(encoding="utf-8"))) for file in files if file.exists()]
    for result in results:
        absent = {name for other in results for name in other.rows} - result.rows.keys()
        if absent:
            raise ValueError(f"{result.environment} was run without {', '.join(sorted(absent))}")
    return results


def _parse(data: dict[str, Any]) -> Result:
    rows = data.pop("rows")
    return Result(**data, rows={name: Row(**row) for name, row in rows.items()})


def render(results: Sequence[Result]) -> str:
    """Return the tables for ``results`` as Markdown."""
    parts = [
        "### Environments",
        _table(["environment", "what", "run on", "Python", *PACKAGES], map(_describe, results)),
        "### Rows",
        _table(["", *(f"`{result.environment}`" for result in results)], _compare(results)),
        "### Why rows do not apply",
        "\n".join(_explain(results)),
    ]
    return "\n\n".join(parts)


def _describe(result: Result) -> list[str]:
    versions = [
        next((result.packages[name] for name in names if name in result.packages), "none")
        for names in PACKAGES.values()
    ]
    title = ENVIRONMENTS[result.environment].title
    return [f"`{result.environment}`", title, result.date, result.python, *versions]


def _compare(results: Sequence[Result]) -> Iterable[list[str]]:
    rows = sorted((row.title, name) for name, row in results[0].rows.items()) if results else []
    for title, name in rows:
        yield [title, *(CELLS[result.rows[name].outcome] for result in results)]


def _explain(results: Sequence[Result]) -> Iterable[str]:
    for result in results:
        reasons: dict[str, int] = {}
        for row in result.rows.values():
            if row.outcome == "not applicable":
                reasons[row.reason] = reasons.get(row.reason, 0) + 1
        said = "; ".join(f"{reason} ({number})" for reason, number in sorted(reasons.items()))
        yield f"* `{result.environment}`: {said or 'all rows apply'}."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def replace_tables(page: str, tables: str) -> str:
    """Return ``page`` with ``tables`` between the marks. Raises ValueError where a mark is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no marks for the tables")
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


if __name__ == "__main__":
    written = replace_tables(PAGE.read_text(encoding="utf-8"), render(load()))
    PAGE.write_text(written, encoding="utf-8")
