"""Which program it is that runs in this process, and which installed packages are its own."""

# ruff: noqa: PTH100, PTH109, PTH120 - `Path` cannot make a path absolute and leave links

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from autoxla.lookahead.files import is_installed

if TYPE_CHECKING:
    from autoxla.lookahead.notebook import Cell

#: Options of one letter each, the last of which takes what follows.
_OPTIONS = re.compile(r"-[^-cmWX]*([cmWX])(.*)", re.DOTALL)
#: Seconds for which a program that runs waits for its own source to be read.
PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Program:
    """A program: `target` is a path, the name of a module, or the code itself.

    ``cells`` is a notebook that is being run: `cells` are what is known of it, `target` is the path of
    its file, empty where that is not known.

    `folder` is where its own modules are looked for first, as ``sys.path[0]`` is. ``directory`` is a
    folder or a zip with a ``__main__.py``. `installed`: it is the entry point of an installed
    distribution, and `packages` are those that are its own and lie among the installed ones, each with its
    folder, or its file without suffix.
    `patience`: how many seconds reading it may take, None where nobody waits.
    """

    kind: Literal["script", "module", "code", "directory", "notebook", "cells"]
    target: str
    folder: Path
    installed: bool = False
    packages: Mapping[str, str] = field(default_factory=dict)
    cells: tuple[Cell, ...] = ()
    patience: float | None = field(default=None, compare=False)


def find_program(main: ModuleType | None, argv: Sequence[str], orig_argv: Sequence[str]) -> Program | None:
    """Return the program that runs, None where it is not known: typed in, from a pipe, or a tool's.

    `main` is the main module, also before it executes; `argv` and `orig_argv` are those of `sys`.
    It waits for being read, see `PATIENCE`.
    """
    kind, value, _ = read_command(orig_argv)
    file = getattr(main, "__file__", None)
    if kind == "c":
        # multiprocessing and loky start processes for parts of a program so.
        is_worker = value is None or value.startswith("from multiprocessing.") or "loky.backend" in value
        return None if value is None or is_worker else Program("code", value, Path.cwd(), patience=PATIENCE)
    if kind == "m" and value:
        name = getattr(getattr(main, "__spec__", None), "name", None)
        named = value if name is None else name.removesuffix(".__main__")
        found, may_be_installed = Program("module", named, Path.cwd(), patience=PATIENCE), True
    else:
        if not isinstance(file, str):
            # Before it executes, the main module has no file yet: the command line does.
            file = value if kind == "file" else None
        if file is None or file.startswith("<"):
            return None
        path = Path(os.path.abspath(file))
        given = Path(os.path.abspath(argv[0])) if argv and argv[0] else path
        container = path if path.name != "__main__.py" else given
        if container.is_dir() or (container.is_file() and container.suffix in (".zip", ".pyz")):
            found = Program("directory", str(container), container, patience=PATIENCE)
        elif path.suffix == ".ipynb":
            found = Program("notebook", str(path), path.parent, patience=PATIENCE)
        else:
            folder = Path(os.path.realpath(path)).parent
            found = Program("script", str(path), folder, patience=PATIENCE)
        may_be_installed = is_installed(file) or (found.kind == "script" and not path.suffix)
    if may_be_installed:
        from autoxla.lookahead.installed import find_own

        return find_own(found, file)
    return found


def search_path(program: Program | None) -> list[str]:
    """Return ``sys.path`` as it is in `program`'s own process, whichever command it is that asks.

    Without a program: as it is for any one in the current folder.
    """
    path = [entry for entry in sys.path if isinstance(entry, str)]
    is_safe = getattr(sys.flags, "safe_path", False)  # PYVERSION: -P came with 3.11
    if is_safe or (program is not None and program.patience is not None):
        return path
    try:
        here = os.getcwd()
        # The folder that Python put in front for the command: of ``python -m``, or of a script.
        ours = ("", here, os.path.dirname(os.path.abspath(sys.argv[0])))
    except FileNotFoundError:  # the current folder is gone
        return path
    own = here if program is None else str(program.folder)
    return [own, *(path[1:] if path[:1] and path[0] in ours else path)]


def read_command(orig_argv: Sequence[str]) -> tuple[str, str | None, list[str]]:
    """Read a command line of Python's: what kind of program it names, the program, and its arguments.

    The kinds are ``c``, ``m``, ``file`` and ``none``; the program is the code, the module or the file.
    """
    words = iter(orig_argv[1:])
    for word in words:
        if word == "-" or not word:
            return "none", None, list(words)
        if not word.startswith("-"):
            return "file", word, list(words)
        found = _OPTIONS.match(word)
        if word == "--check-hash-based-pycs" or (found and found[1] in "WX" and not found[2]):
            next(words, None)
        elif found and found[1] in "cm":
            return found[1], found[2] or next(words, None), list(words)
    return "none", None, []
