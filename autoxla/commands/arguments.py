"""Reading the arguments of a command; what is not understood is said by the command, in one line.

All commands take ``-q`` or ``--quiet``: only errors and results are printed. Those that look at a program
take what ``python`` takes, see `parse`.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NoReturn

from autoxla.commands.terminal import fold_help
from autoxla.lookahead.program import read_command, search_path

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


def parse(
    parser: argparse.ArgumentParser, argv: Sequence[str], *, only_in_front: bool = False
) -> tuple[argparse.Namespace, list[str]]:
    """Return the command's options, and the program with its arguments as ``python`` takes them.

    The program is a script, a notebook, a folder or a zip file, ``-m MODULE`` or ``-c CODE``. The command's
    own options stand in front of it, or directly behind a script unless ``only_in_front``; what follows is
    the program's, and so is all that follows ``--``. Raises `BadArgumentsError`, also where there is no such
    file or module.
    """
    own, rest = _take_options(parser, list(argv))
    if rest[:1] == ["--"]:
        words = rest[1:]
    elif not rest or rest[0].startswith(("-m", "-c")):
        words = rest
    elif rest[0].startswith("-"):  # an option that is not known: argparse says so
        own, words = [*own, rest[0]], []
    else:
        behind, arguments = ([], rest[1:]) if only_in_front else _take_options(parser, rest[1:])
        own, words = [*own, *behind], [rest[0], *arguments]
    options = parser.parse_args(own)
    require_program(words)
    return options, words


def split_program(parser: argparse.ArgumentParser, argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split ``argv`` of a command that takes paths: its own words, and those of one program.

    The latter begin with ``-m``, with ``-c``, behind ``--``, or with a file that is followed by an option
    which is none of the command's. Usually there are none.
    """
    own, rest = _take_options(parser, list(argv))
    if rest[:1] == ["--"]:
        return own, rest[1:]
    if rest and rest[0].startswith(("-m", "-c")):
        return own, rest
    if rest and Path(rest[0]).is_file():
        behind, arguments = _take_options(parser, rest[1:])
        if arguments and arguments[0].startswith("-"):
            return [*own, *behind], [rest[0], *arguments]
    return list(argv), []


def require_program(words: Sequence[str]) -> None:
    """Raise `BadArgumentsError` where ``words``, of ``python *words``, name no program that is there."""
    if not words:
        return
    kind, target, _ = read_command(["python", *words])
    if target is None:
        raise BadArgumentsError(f"{words[0]}: this is no program whose source can be read")
    if kind == "file" and not Path(target).exists():
        raise BadArgumentsError(f"{target}: there is no such file")
    if kind == "m" and not _is_module(target):
        raise BadArgumentsError(f"-m {target}: there is no such module")


def _is_module(name: str) -> bool:
    top = name.partition(".")[0]
    if PathFinder.find_spec(top, search_path(None)) is not None:
        return True
    try:
        return importlib.util.find_spec(top) is not None
    except ValueError:  # it is loaded, by itself or as the main module
        return True


def _take_options(parser: argparse.ArgumentParser, words: list[str]) -> tuple[list[str], list[str]]:
    """Split the options of ``parser`` with their values off the front of ``words``."""
    taken = 0
    while taken < len(words):
        name, equals, _ = words[taken].partition("=")
        action = parser._option_string_actions.get(name)
        if action is None:
            break
        # Those of the commands take no value (nargs 0) or one.
        taken += 1 if equals or action.nargs == 0 else 2
    return words[:taken], words[taken:]
