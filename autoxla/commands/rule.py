"""``python -m autoxla rule [CODE]``: what a code means, why it matters, what to do."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from autoxla.commands import BadArgumentsError
from autoxla.commands.rule_pages import Page, family_of, make_pages, render_list, render_page
from autoxla.commands.terminal import make_console

_LENGTH = len("AX204")


def run(options: argparse.Namespace) -> int:
    """Print the page or the list that ``options`` ask for; return the exit status."""
    wanted = "AX" if options.code is None else options.code.upper()
    found = [page for code, page in make_pages().items() if code.startswith(wanted)]
    if not wanted or not found:
        raise BadArgumentsError(f"there is no code {options.code!r}; python -m autoxla rule lists all codes")
    if options.json:
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
