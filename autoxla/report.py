"""The report of a process, for ``AUTOXLA_REPORT`` and ``explain``: as JSON, or as a page of HTML."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from autoxla import __version__
from autoxla.facts import Finding, Plan, Situation

#: Endings of files that get a page.
PAGES = (".html", ".htm")
T = TypeVar("T")


class First(list[T]):
    """The first ``most`` of what is appended; of the others `left_out` tells how many there were."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.left_out = 0
        self._most = most

    def append(self, value: T) -> None:
        """Keep ``value``, or count it."""
        if len(self) < self._most:
            super().append(value)
        else:
            self.left_out += 1


def as_data(
    situation: Situation,
    plan: Plan,
    findings: Iterable[Finding],
    compiles: Sequence[Mapping[str, object]] = (),
    faults: Iterable[tuple[str, Exception]] = (),
    trials: Sequence[Mapping[str, object]] = (),
    left_out: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, object]:
    """Return the report as JSON has it. No variable but the watched ones is in it.

    ``left_out`` says of which parts there was more, and how much.
    """
    return {
        "mode": situation.settings.mode,
        "settings": [asdict(setting) for setting in plan.settings],
        "path": asdict(plan.path),
        "findings": [finding_data(finding) for finding in findings],
        "compile": list(compiles),
        "trials": list(trials),
        "errors": [f"{where}: {type(error).__name__}: {error}" for where, error in faults],
        "left_out": {name: count for name, count in left_out.items() if count},
    }


def page_data(
    situation: Situation, plan: Plan, data: Mapping[str, object], program: str
) -> dict[str, object]:
    """Return ``data``, a report, with what a page tells beside it: the story of the plan, the rules."""
    from autoxla import story

    found = data.get("findings")
    codes = {finding["code"] for finding in found} if isinstance(found, list) else set()
    rules = {code: story.find_rule(code) for code in sorted(codes)}
    return {
        **data,
        "program": program,
        "made_by": f"autoxla {__version__}",
        "rules": {code: {"title": r.title, "source": r.source} for code, r in rules.items() if r is not None},
        "situation": story.situation_data(situation),
        "story": {title: [list(row) for row in rows] for title, rows in story.tell(situation, plan)},
    }


def write_report(
    file: Path,
    situation: Situation,
    plan: Plan,
    findings: Iterable[Finding],
    compiles: Sequence[Mapping[str, object]],
    faults: Iterable[tuple[str, Exception]],
    trials: Sequence[Mapping[str, object]],
    left_out: Mapping[str, int],
    program: str | None = "",
) -> None:
    """Write the report to ``file``, whole or not at all: a page where its name ends in ``.html``.

    Raises OSError where that cannot be.
    """
    data = as_data(situation, plan, findings, compiles, faults, trials, left_out)
    if file.suffix.lower() in PAGES:
        write_page(file, page_data(situation, plan, data, "notebook" if program is None else program))
    else:
        write_whole(file, json.dumps(data, indent=2) + "\n")


def write_page(file: Path, data: Mapping[str, object]) -> None:
    """Write the page of ``data``, as `page_data` gives it. Raises OSError."""
    from autoxla.page import render_page

    write_whole(file, render_page(data, time.strftime("%Y-%m-%d %H:%M:%S %z")))


def write_whole(file: Path, text: str) -> None:
    """Write ``text`` to ``file``, whole or not at all. Raises OSError."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    # A new file: a link that another user put there, to aim it elsewhere, is not followed.
    temporary.unlink(missing_ok=True)
    try:
        with temporary.open("x", encoding="utf-8") as stream:
            stream.write(text)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def finding_data(finding: Finding) -> dict[str, object]:
    """Return a finding as JSON has it."""
    data = asdict(finding)
    place = data.pop("place")
    del data["about"]
    return {**data, "file": place["file"], "line": place["line"], "column": place["column"]}
