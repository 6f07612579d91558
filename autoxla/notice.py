"""What autoxla says while a program runs: single lines on stderr."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from autoxla.facts import Finding

_SEVERITY = {"error": 0, "warning": 1, "info": 2}


def headline(findings: Sequence[Finding], program: str | None) -> str:
    """Return one line for ``findings``, which must not be empty: the gravest, and how many more.

    ``program`` is a word for the command line, empty where there is none, None in a notebook.
    """
    gravest = min(findings, key=lambda finding: _SEVERITY[finding.level])
    more = f" (+{len(findings) - 1} more)" if len(findings) > 1 else ""
    done = f"done: {gravest.remedy}" if gravest.applied else gravest.remedy
    command = f"python -m autoxla explain {shlex.quote(program)}" if program else "python -m autoxla explain"
    command = "autoxla.explain()" if program is None else command
    return f"{gravest.code} {gravest.level} {gravest.place}: {gravest.message}; {done}{more}; {command}"


def say(line: str) -> None:
    """Write ``autoxla: line`` on stderr, or nowhere if there is none."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(f"autoxla: {line}\n")
    except (OSError, ValueError):
        return  # closed: there is nobody left to tell
