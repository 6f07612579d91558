"""The lines as text: in columns, with colour on a terminal if rich is installed."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from autoxla.commands.diagnosis.line import Line, State

_ORDER: tuple[State, ...] = ("error", "warning", "note", "ok")
_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan", "ok": "green"}
_NARROWEST = 50


def render(lines: Sequence[Line], *, verbose: bool) -> None:
    """Print ``lines``, the gravest first; those that are ok only with ``verbose``."""
    width = _find_width()
    for text in () if verbose else _heading(lines):
        print(_fold(text, width, "  ") if width else text)
    for text, state in _rows(lines, width, _ORDER if verbose else _ORDER[:-1]):
        _write(text, state)
    print(_count(lines, "" if verbose else "; --verbose shows what is ok"))


def _rows(lines: Sequence[Line], width: int, shown: Sequence[State]) -> Iterator[tuple[str, State]]:
    subject_width = max((len(line.subject) for line in lines if line.state in shown), default=0)
    for state in shown:
        for line in lines:
            if line.state == state:
                yield _format(line, subject_width, width), state


def _format(line: Line, subject_width: int, width: int) -> str:
    head = f"{line.state:<8} {line.code}  {line.subject:<{subject_width}}  "
    indent = " " * len(head)
    remedy = [f"{indent}-> {_printable(line.remedy)}"] if line.remedy else []
    parts = [f"{head}{_printable(line.message)}", *remedy]
    if not width:
        return "\n".join(parts)
    folded = [_fold(part, width, indent + ("   " if at else "")) for at, part in enumerate(parts)]
    return "\n".join(folded)


def _printable(text: str) -> str:
    """Return ``text``, in which file names stand, without what would move the cursor or break the line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _fold(text: str, width: int, indent: str) -> str:
    # A path or a command is copied from here: it is not cut.
    return textwrap.fill(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _heading(lines: Sequence[Line]) -> Iterator[str]:
    yield ", ".join(line.message for line in lines if line.code == "AX801")
    yield from (line.message for line in lines if line.code == "AX803")
    yield ""


def _count(lines: Sequence[Line], hint: str) -> str:
    counts = Counter(line.state for line in lines)
    told = ", ".join(f"{counts[state]} {_plural(state, counts[state])}" for state in _ORDER if counts[state])
    return f"{told}{hint if counts['ok'] else ''}"


def _plural(state: State, count: int) -> str:
    return state if count == 1 or state == "ok" else f"{state}s"


def _find_width() -> int:
    """Return the columns to fold to, 0 where nobody looks on: lines are then whole, for grep."""
    if not sys.stdout.isatty():
        return 0
    return max(_NARROWEST, shutil.get_terminal_size().columns)


def _write(text: str, state: State) -> None:
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        print(text)
        return
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        print(text)
        return
    coloured = Text(text)
    coloured.stylize(_COLOURS[state], 0, len(state))
    Console(soft_wrap=True, highlight=False).print(coloured)
