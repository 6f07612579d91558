"""Text for people: folded to the terminal, and coloured there if rich is installed.

Where nobody looks on, lines are whole and plain, for ``grep`` and for other programs.
"""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from autoxla.situation.environment import read_environ

if TYPE_CHECKING:
    from rich.console import Console

#: Columns below which nothing is folded any more, and beyond which prose is hard to read.
NARROWEST, _WIDEST = 50, 100
_MARKUP = re.compile(r"``(.+?)``", re.DOTALL)
_USAGE = re.compile(r"``[^`]*``[.:]?\s*")
#: A line that explains a word in front of it, in columns.
_ROW = re.compile(r"(?P<head>\S+ {2,})\S")


def find_width() -> int:
    """Return the columns to fold to, 0 where nobody looks on."""
    return max(NARROWEST, shutil.get_terminal_size().columns) if sys.stdout.isatty() else 0


def fold(text: str, width: int, indent: str) -> str:
    """Return ``text`` in lines of ``width`` columns, all but the first behind ``indent``; whole for 0."""
    if not width:
        return text
    # A path or a command is copied from here: it is not cut.
    return textwrap.fill(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def fold_help(docstring: str, width: int) -> str:
    """Return the docstring of a command as its help: without its own usage line and markup, folded."""
    usage = _USAGE.match(docstring)
    text = docstring[usage.end() :] if usage else docstring
    text = text[:1].upper() + text[1:] if usage else text
    # Quotes keep together what has a space in it.
    text = _MARKUP.sub(lambda code: f"`{code[1]}`" if " " in code[1] else code[1], text).strip()
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n\n".join("\n".join(_fold_paragraph(each, min(width, _WIDEST))) for each in paragraphs)


def _fold_paragraph(paragraph: str, width: int) -> Iterator[str]:
    items: list[list[str]] = []
    for line in paragraph.splitlines():
        is_row = _ROW.match(line) is not None
        is_next = bool(items) and (line.startswith(" ") or not (is_row or _ROW.match(items[-1][0])))
        if is_next:
            items[-1].append(line.strip())
        else:
            items.append([line])
    for lines in items:
        row = _ROW.match(lines[0])
        yield fold(" ".join(lines), width, " " * len(row["head"]) if row else "")


def make_console(*, folded: bool = True) -> Console | None:
    """Return what draws on the terminal; None where stdout is none, or rich is not installed.

    rich leaves out colours for NO_COLOR; here bold goes, too. ``folded``: long lines are.
    """
    if not sys.stdout.isatty():
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
    for level, colour in (("error", "bold red"), ("warning", "yellow")):
        shown.highlight_regex(rf"(?<=AX\d\d\d ){level}\b", colour)
    shown.highlight_regex(r"(?m)^ +(done|to do):", "bold")
    console.print(shown, end="")


def print_help(usage: str, docstring: str) -> None:
    """Print the help of a command that reads its own arguments."""
    width = shutil.get_terminal_size().columns
    print(f"{fold(usage, width, ' ' * len('usage: '))}\n\n{fold_help(docstring, width)}")
