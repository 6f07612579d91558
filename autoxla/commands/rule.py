"""``python -m autoxla rule [--json] [CODE]``: what a code means, why it matters, what to do.

Without CODE all codes are listed; AX2 lists those that begin so. A page is formatted on a terminal if
rich is installed, and is Markdown elsewhere. -q, --quiet changes nothing here. Exit status: 0, or 2 where
there is no such code.

example: python -m autoxla rule AX103
"""

from __future__ import annotations

import json
from dataclasses import asdict

from autoxla.commands.arguments import QUIET
from autoxla.commands.rule_pages import Page, family_of, make_pages, render_list, render_page
from autoxla.commands.terminal import make_console, print_help
from autoxla.notice import say

USAGE = "usage: python -m autoxla rule [--json] [CODE]"
_LENGTH = len("AX204")


def main(argv: list[str]) -> int:
    """Print the page or the list that ``argv`` asks for; return the exit status."""
    if "-h" in argv or "--help" in argv:
        print_help(USAGE, __doc__ or "")
        return 0
    # A page is what was asked for: there is nothing beside it to be quiet about.
    words = [word for word in argv if word not in ("--json", *QUIET)]
    if len(words) > 1 or any(word.startswith("-") for word in words):
        say(f"AX902 error arguments: {' '.join(argv)!r} is not understood; {USAGE}")
        return 2
    wanted = words[0].upper() if words else "AX"
    found = [page for code, page in make_pages().items() if code.startswith(wanted)]
    if not wanted or not found:
        say(f"AX902 error arguments: there is no code {words[0]!r}; python -m autoxla rule lists all codes")
        return 2
    if "--json" in argv:
        print(json.dumps([_data(page) for page in found], indent=2))
    elif len(wanted) == _LENGTH:
        _print_page(render_page(found[0]))
    else:
        print(render_list(found))
    return 0


def _data(page: Page) -> dict[str, str]:
    return {**asdict(page), "family": family_of(page.code)}


def _print_page(text: str) -> None:
    console = make_console()
    if console is None:
        print(text, end="")
        return
    from rich.markdown import Markdown
    from rich.theme import Theme

    # On the terminal's own background, light or dark.
    with console.use_theme(Theme({"markdown.code": "bold cyan", "markdown.code_block": "cyan"})):
        console.print(Markdown(text, code_theme="ansi_light"))
