"""Text for people: folded to the terminal, and coloured there if rich is installed.

Where nobody looks on, lines are whole and plain, for ``grep`` and for other programs.
"""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from autoxla.model import Finding
from autoxla.notice import printable
from autoxla.situation.environment import read_environ

if TYPE_CHECKING:
    from rich.console import Console

#: Columns below which nothing is folded any more.
NARROWEST = 50
_IGNORE = re.compile(r"#\s*autoxla:\s*ignore\s*(?:\[([\w\s,]*)\])?", re.IGNORECASE)


def is_ignored(line: str, code: str) -> bool:
    """Tell whether a comment ``# autoxla: ignore`` or ``# autoxla: ignore[CODES]`` silences ``code``."""
    found = _IGNORE.search(line)
    return found is not None and (not found[1] or code in found[1].upper().replace(" ", "").split(","))


def is_left(finding: Finding) -> bool:
    """Return whether ``finding`` is an error that nothing cures: what is told under ``--quiet``."""
    return finding.level == "error" and not finding.applied


def as_line(finding: Finding) -> str:
    """Return ``finding`` as ``path:line:col CODE level message; remedy``, all of it on one line."""
    return printable(f"{finding.place} {finding.code} {finding.level} {finding.message}; {finding.remedy}")


def _is_terminal() -> bool:
    # There is no stdout where it was closed before the start.
    return sys.stdout is not None and sys.stdout.isatty()


def find_width() -> int:
    """Return the columns to fold to, 0 where nobody looks on."""
    return max(NARROWEST, shutil.get_terminal_size().columns) if _is_terminal() else 0


def fold(text: str, width: int, indent: str) -> str:
    """Return ``text`` in lines of ``width`` columns, all but the first behind ``indent``; whole for 0."""
    if not width:
        return text
    # A path or a command is copied from here: it is not cut.
    return textwrap.fill(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def make_console(*, folded: bool = True) -> Console | None:
    """Return what draws on the terminal; None where stdout is none, or rich is not installed.

    rich leaves out colours for NO_COLOR; here bold goes, too. ``folded``: long lines are.
    """
    if not _is_terminal():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    is_plain = read_environ().get("NO_COLOR") or read_environ().get("TERM") == "dumb"
    return Console(color_system=None if is_plain else "auto", soft_wrap=not folded, highlight=False)


def print_text(text: str) -> None:
    """Print ``text``, on a terminal with colours if rich is installed."""
    console = make_console(folded=False)
    if console is None:
        print(text, end="")
        return
    from rich.text import Text

    shown = Text(text)
    shown.highlight_regex(r"(?m)^[A-Z][^:\n]*$|^autoxla, mode \S+$", "bold")
    shown.highlight_regex(r"\bAX\d{3}\b", "cyan")
    for level, colour in (("error", "bold red"), ("warning", "yellow"), ("note", "cyan"), ("ok", "green")):
        shown.highlight_regex(rf"(?m)(?<=AX\d\d\d ){level}\b|^{level}(?= +AX\d\d\d )", colour)
    shown.highlight_regex(r"(?m)^ +(done|to do):", "bold")
    console.print(shown, end="")


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, with_head: bool = False) -> None:
    """Print ``rows`` below each other: on a terminal below ``head`` by means of rich, if that is there.

    Elsewhere ``head`` is left out unless ``with_head``.
    """
    console = make_console() if head else None
    if console is None:
        shown = [head, *rows] if with_head else rows
        widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
        for row in shown:
            print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        # As text: a cell may hold what rich would take for its own markup.
        table.add_row(*map(Text, row))
    console.print(table)
