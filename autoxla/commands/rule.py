"""``python -m autoxla rule [--json] [CODE]``: what a code means, why it matters, what to do.

Without CODE all codes are listed; AX2 lists those that begin so. A page is formatted on a terminal if
rich is installed, and is Markdown elsewhere. Exit status: 0, or 2 where there is no such code.

example: python -m autoxla rule AX103
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from autoxla.guide import page_of
from autoxla.guide.book import family_of, make_entries
from autoxla.guide.entry import Entry
from autoxla.guide.render import render_list, render_page
from autoxla.notice import say

USAGE = "usage: python -m autoxla rule [--json] [CODE]"
_LENGTH = len("AX204")


def main(argv: list[str]) -> int:
    """Print the page or the list that ``argv`` asks for; return the exit status."""
    if "-h" in argv or "--help" in argv:
        print(f"{USAGE}\n\n{__doc__}")
        return 0
    words = [word for word in argv if word != "--json"]
    if len(words) > 1 or any(word.startswith("-") for word in words):
        say(f"AX902 error arguments: {' '.join(argv)!r} is not understood; {USAGE}")
        return 2
    wanted = words[0].upper() if words else "AX"
    found = [entry for code, entry in make_entries().items() if code.startswith(wanted)]
    if not wanted or not found:
        say(f"AX902 error arguments: there is no code {words[0]!r}; python -m autoxla rule lists all codes")
        return 2
    if "--json" in argv:
        print(json.dumps([_data(entry) for entry in found], indent=2))
    elif len(wanted) == _LENGTH:
        _print_page(render_page(found[0]))
    else:
        print(render_list(found))
    return 0


def _data(entry: Entry) -> dict[str, str]:
    return {**asdict(entry), "family": family_of(entry.code), "page": page_of(entry.code)}


def _print_page(text: str) -> None:
    if sys.stdout.isatty():
        try:
            from rich.console import Console
            from rich.markdown import Markdown
        except ImportError:
            pass
        else:
            Console().print(Markdown(text))
            return
    print(text, end="")
