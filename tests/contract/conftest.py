"""Rows of the table of compatibility: which of them apply here, and what came of them.

A row is a test with the mark ``row``: its title and the words for what it needs. Whether it applies is
decided by what the environment is declared to have, never by what happens to be there.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Generator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from contract.environments import RESULTS, Environment, current

NOT_APPLICABLE = "not applicable: "
#: The result of each row by its id: title, outcome and the reason for it.
_rows: dict[str, dict[str, str]] = {}
#: The ids of all rows that there are, those that are not run this time among them.
_known: set[str] = set()


@pytest.fixture(scope="session")
def environment() -> Environment:
    """Return the environment that this is said to be."""
    return current()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a row that does not apply here, by declaration, before any fixture is made for it."""
    _, needs = _read(item)
    reason = current().missing(needs)
    if reason is not None:
        pytest.skip(f"{NOT_APPLICABLE}{reason}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note which rows there are, before any is deselected."""
    _known.update(_identify(item) for item in items if item.get_closest_marker("row") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Keep what came of a row."""
    report = yield
    if item.get_closest_marker("row") is not None:
        _note(item, report)
    return report


def _note(item: pytest.Item, report: Any) -> None:
    title, _ = _read(item)
    row = _rows.setdefault(_identify(item), {"title": title, "outcome": "passed", "reason": ""})
    if report.skipped:
        reason = str(report.longrepr[2]).removeprefix("Skipped: ")
        # Whatever else is skipped should have been run.
        is_declared = reason.startswith(NOT_APPLICABLE)
        outcome = "not applicable" if is_declared else "failed"
        row.update(outcome=outcome, reason=reason.removeprefix(NOT_APPLICABLE))
    elif report.failed:
        row.update(outcome="failed", reason=str(report.longrepr).strip().splitlines()[-1])


def _identify(item: pytest.Item) -> str:
    return f"{item.path.stem}::{item.name}"


def _read(item: Any) -> tuple[str, frozenset[str]]:
    mark = item.get_closest_marker("row")
    if mark is None:
        return item.name, frozenset()
    values = getattr(getattr(item, "callspec", None), "params", {})
    # A parameter may need something besides.
    needs = {word for value in values.values() for word in getattr(value, "needs", ())}
    needs.update(word for each in item.iter_markers("needs") for word in each.args)
    return mark.args[0].format(**values), frozenset({*mark.kwargs.get("needs", ()), *needs})


def pytest_sessionfinish() -> None:
    """Leave the results where they are asked for."""
    folder = os.environ.get(RESULTS)
    if folder is None or not _rows:
        return
    packages = {each.name.lower().replace("_", "-"): each.version for each in distributions()}
    file = Path(folder) / f"{current().name}.json"
    result = {
        "environment": current().name,
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "packages": dict(sorted(packages.items())),
        "rows": dict(sorted({**_earlier(file, packages), **_rows}.items())),
    }
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _earlier(file: Path, packages: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the rows of an earlier run of the same packages, for a run of some rows only."""
    try:
        earlier = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    rows = earlier["rows"] if earlier["packages"] == packages else {}
    return {name: row for name, row in rows.items() if name in _known}
