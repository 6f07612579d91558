"""What autoxla says while a program runs: single lines on stderr, or in the program's log."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from autoxla.hooks.boundary import printable, write
from autoxla.model import Finding
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

    ``program`` is what follows on the command line, quoted for it; empty where nothing is, None in a
    notebook.
    """
    # Of errors, one that is left goes before one that is cured.
    gravest = min(findings, key=lambda f: (_SEVERITY[f.level], f.level == "error" and f.applied))
    more = f" (+{len(findings) - 1} more)" if len(findings) > 1 else ""
    remedy = f"{_DONE if gravest.applied else '; '}{gravest.remedy}"
    command = f"python -m autoxla explain {program}".rstrip()
    command = "autoxla.explain()" if program is None else command
    return f"{gravest.code} {gravest.level} {gravest.place}: {gravest.message}{remedy}{more}; {command}"


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
    is_error = line.split(maxsplit=2)[1:2] == ["error"]
    if is_quiet() and (not is_error or _DONE in line):
        return
    logging = sys.modules.get("logging")
    # A program that is just importing logging has no root yet.
    if logging is not None and getattr(logging, "root", None) is not None:
        try:
            logger = logging.getLogger("autoxla")
            handlers = [*logging.root.handlers, *logger.handlers]
            # pytest's own handlers show nothing of tests that pass.
            if any(not type(handler).__module__.startswith("_pytest.") for handler in handlers):
                # At least a warning: what was changed is said, whatever the log leaves out by default.
                logger.log(_ERROR if is_error else _WARNING, "%s", printable(line))
                return
        except Exception:  # noqa: BLE001, S110 - a handler or a filter of the program's own
            pass
    say(line)


def is_quiet() -> bool:
    """Return whether ``AUTOXLA_QUIET`` asks this process to be quiet."""
    return read_environ().get(QUIET, "").lower() in ("1", "true")
