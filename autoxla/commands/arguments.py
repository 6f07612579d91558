"""Reading the arguments of a command; what is not understood is said by the command, in one line.

All commands take ``-q`` or ``--quiet``: only errors and results are printed.
"""

from __future__ import annotations

import argparse
from typing import NoReturn

from autoxla.commands.terminal import fold_help

QUIET = ("-q", "--quiet")


class BadArgumentsError(ValueError):
    """Arguments that are not understood."""


class HelpFormatter(argparse.HelpFormatter):
    """Shows the docstring of a command as its help."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:  # noqa: ARG002 - argparse's hook
        return fold_help(text, width)


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` that raises `BadArgumentsError` instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        """Raise `BadArgumentsError`."""
        raise BadArgumentsError(message)


def add_quiet(parser: argparse.ArgumentParser, text: str, *, below: bool = False) -> None:
    """Let ``parser`` take ``--quiet``; ``text`` is its help. ``below``: the parser of a second word."""
    # A second word that says nothing must not undo what the first one said.
    default = argparse.SUPPRESS if below else False
    parser.add_argument(*QUIET, action="store_true", default=default, help=text)
