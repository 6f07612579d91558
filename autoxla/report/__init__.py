"""The report of a process, for ``AUTOXLA_REPORT`` and ``explain``: as JSON, or as a page of HTML."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

from autoxla import __version__
from autoxla.model import Finding, Plan, Situation
from autoxla.notice import notify
from autoxla.store import write_whole

#: Endings of files that get a page.
PAGES = (".html", ".htm")


class NoTemplateEngineError(ImportError):
    """jinja2 is not installed; the message says what to do."""


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
    from autoxla.report import story

    found = data.get("findings")
    codes = {finding["code"] for finding in found} if isinstance(found, list) else set()
    rules = {code: story.find_rule(code) for code in sorted(codes)}
    return {
        **data,
        "program": program,
        "made_by": f"autoxla {__version__}",
        "rules": {code: {"title": r.title, "source": r.source} for code, r in rules.items() if r is not None},
        "story": {title: [list(row) for row in rows] for title, rows in story.tell(situation, plan)},
    }


def write_report(
    file: Path, situation: Situation, plan: Plan, data: Mapping[str, object], program: str | None
) -> None:
    """Write ``data``, a report, to ``file``, whole or not at all: a page where its name ends in ``.html``.

    Without jinja2 it is JSON in a file beside that, and a line says so. Raises OSError where that cannot be.
    """
    if file.suffix.lower() in PAGES:
        try:
            write_page(file, page_data(situation, plan, data, "notebook" if program is None else program))
            return
        except NoTemplateEngineError as error:
            file = file.with_name(f"{file.name}.json")
            _say_once(f"AX902 warning report: {error}; until then it is JSON: {file}")
    write_whole(file, f"{json.dumps(data, indent=2)}\n".encode())


def write_page(file: Path, data: Mapping[str, object]) -> None:
    """Write the page of ``data``, as `page_data` gives it. Raises OSError or `NoTemplateEngineError`."""
    try:
        from autoxla.report.page import render_page
    except ImportError as error:
        if error.name not in ("jinja2", "markupsafe"):
            raise
        raise NoTemplateEngineError("a page needs jinja2: pip install 'autoxla-runtime[report]'") from None
    write_whole(file, render_page(data, time.strftime("%Y-%m-%d %H:%M:%S %z")).encode())


#: A report is written many times in a process.
_say_once = functools.cache(notify)


def finding_data(finding: Finding) -> dict[str, object]:
    """Return a finding as JSON has it."""
    shown = ("code", "level", "message", "remedy", "grade", "applied")
    return {**{name: getattr(finding, name) for name in shown}, **asdict(finding.place)}
