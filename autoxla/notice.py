"""What autoxla says while a program runs: single lines on stderr, or in the program's log."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from autoxla.facts import Finding
from autoxla.hooks.boundary import printable, write
from autoxla.situation.environment import read_environ

__all__ = ["QUIET", "headline", "is_quiet", "notify", "printable", "say"]

_SEVERITY = {"error": 0, "warning": 1, "info": 2}
#: Levels of `logging`, which is not imported for their sake.
_ERROR, _WARNING = 40, 30
#: Keeps the notices of a program, and of its children, to what is wrong and was not put right.
QUIET = "AUTOXLA_QUIET"
_DONE = "; done: "


def headline(findings: Sequence[Finding], program: str | None) -> str:
    """Return one line for ``findings``, which must not be empty: the gravest, and how many more.

    Of errors, one that is left goes before one that is cured.

    ``program`` is what follows on the command line, quoted for it; empty where nothing is, None in a
    notebook.
    """
    gravest = min(findings, key=_rank)
    more = f" (+{len(findings) - 1} more)" if len(findings) > 1 else ""
    remedy = f"{_DONE if gravest.applied else '; '}{gravest.remedy}"
    command = f"python -m autoxla explain {program}".rstrip()
    command = "autoxla.explain()" if program is None else command
    return f"{gravest.code} {gravest.level} {gravest.place}: {gravest.message}{remedy}{more}; {command}"


def _rank(finding: Finding) -> tuple[int, bool]:
    return _SEVERITY[finding.level], finding.level == "error" and finding.applied


def say(line: str) -> None:
    """Write ``autoxla: line``, all of it on one line, on stderr, or nowhere if there is none."""
    if sys.stderr is None:
        return
    try:
        write(sys.stderr, f"autoxla: {printable(line)}\n")
    except (OSError, ValueError):
        return  # closed: there is nobody left to tell


def notify(line: str) -> None:
    """Tell a program that runs: by the logger ``autoxla`` if the program configured logging, else on stderr.

    The level is the second word of ``line``. Where quiet was asked for, only errors that are left are told.
    """
    if is_quiet() and (not _is_error(line) or _DONE in line):
        return
    if not _log(line):
        say(line)


def is_quiet() -> bool:
    """Return whether ``AUTOXLA_QUIET`` asks this process to be quiet."""
    return read_environ().get(QUIET, "").lower() in ("1", "true")


def _log(line: str) -> bool:
    """Return whether the program keeps a log, and ``line`` was given to it."""
    logging = sys.modules.get("logging")
    # A program that is just importing logging has no root yet.
    root = getattr(logging, "root", None)
    if logging is None or root is None:
        return False
    try:
        logger = logging.getLogger("autoxla")
        if all(map(_is_pytest, [*root.handlers, *logger.handlers])):
            return False
        logger.log(_level(line), "%s", printable(line))
    except Exception:  # noqa: BLE001 - a handler or a filter of the program's own
        return False
    return True


def _is_pytest(handler: object) -> bool:
    # pytest's own handlers are there for tests that ask for them, and show nothing of those that pass.
    return type(handler).__module__.startswith("_pytest.")


def _level(line: str) -> int:
    """Return the level for ``line``, whose second word is that of a finding.

    At least a warning: what was changed is said, whatever the program's log leaves out by default.
    """
    return _ERROR if _is_error(line) else _WARNING


def _is_error(line: str) -> bool:
    return line.split(maxsplit=2)[1:2] == ["error"]
