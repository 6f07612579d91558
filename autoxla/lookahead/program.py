"""What is to be read, and which program it is that runs in this process."""

# ruff: noqa: PTH100, PTH118, PTH120 - `Path` has nothing that makes a path absolute and leaves links

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Literal

from autoxla.lookahead.entry import (
    TOOLS,
    Package,
    find_distribution,
    find_editable,
    find_module,
    is_in_site,
    name_module,
)
from autoxla.lookahead.notebook import Cell

#: Seconds for which a program that runs waits for its own source to be read.
PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Program:
    """A program: `target` is a path, the name of a module, or the code itself.

    ``cells`` is a notebook that is being run: `cells` are what is known of it, `target` is the path of
    its file, empty where that is not known.

    `folder` is where its own modules are looked for first, as ``sys.path[0]`` is. ``directory`` is a
    folder or a zip with a ``__main__.py``. `installed`: it is the entry point of an installed
    distribution, and `packages` are those of this distribution that lie among the installed ones.
    `patience`: how many seconds reading it may take, None where nobody waits.
    """

    kind: Literal["script", "module", "code", "directory", "notebook", "cells"]
    target: str
    folder: Path
    installed: bool = False
    packages: tuple[Package, ...] = ()
    cells: tuple[Cell, ...] = ()
    patience: float | None = field(default=None, compare=False)


def find_program(main: ModuleType | None, argv: Sequence[str], orig_argv: Sequence[str]) -> Program | None:
    """Return the program that runs, None where it is not known: typed in, from a pipe, or a tool's.

    `main` is the main module, also before it executes; `argv` and `orig_argv` are those of `sys`.
    It waits for being read, see `PATIENCE`.
    """
    found = _find_program(main, argv, orig_argv)
    return None if found is None else replace(found, patience=PATIENCE)


def _find_program(main: ModuleType | None, argv: Sequence[str], orig_argv: Sequence[str]) -> Program | None:
    kind, value, _ = read_command(orig_argv)
    if kind == "c":
        return None if value is None or _is_worker(value) else Program("code", value, Path.cwd())
    file = getattr(main, "__file__", None)
    spec = getattr(main, "__spec__", None)
    if kind == "m" and value:
        named = _main_of(getattr(spec, "name", None)) or value
        return _own(Program("module", named, Path.cwd()), file)
    if not isinstance(file, str):
        # Before it executes, the main module has no file yet: the command line does.
        file = value if kind == "file" else None
    if file is None or file.startswith("<"):
        return None
    return _own(_from_path(file, argv), file)


def _from_path(file: str, argv: Sequence[str]) -> Program:
    path = Path(os.path.abspath(file))
    given = Path(os.path.abspath(argv[0])) if argv and argv[0] else path
    container = path if path.name != "__main__.py" else given
    if container.is_dir() or (container.is_file() and container.suffix in (".zip", ".pyz")):
        return Program("directory", str(container), container)
    if path.suffix == ".ipynb":
        return Program("notebook", str(path), path.parent)
    return Program("script", str(path), Path(os.path.realpath(path)).parent)


def _is_worker(code: str) -> bool:
    """Tell whether this is how multiprocessing or loky start a process for parts of a program."""
    return code.startswith("from multiprocessing.") or "loky.backend" in code


def _main_of(name: str | None) -> str | None:
    return None if name is None else name.removesuffix(".__main__")


def _own(program: Program, file: str | None) -> Program | None:
    """Return `program` with what is its own among the installed packages, None where it is a tool.

    Tools (pytest, gunicorn) start programs in ways of their own: their source is not the user's.
    """
    path = [entry for entry in sys.path if isinstance(entry, str)]
    if program.kind == "module":
        found = None if file is not None else find_module(program.target, path)
        place = found.base if found is not None else file
        if place is None:
            return None if program.target in sys.stdlib_module_names else program
        return _with_packages(program, program.target, path) if _is_installed(place) else program
    if file is None or program.kind != "script":
        return None if file is not None and _is_installed(file) else program
    if _is_installed(file):
        return _with_packages(program, name_module(file) or _read_entry(file), path)
    return _from_elsewhere(program, path)


def _from_elsewhere(program: Program, path: list[str]) -> Program | None:
    """Return `program`, which may be a script that an installer put into any folder (``~/.local/bin``)."""
    module = None if Path(program.target).suffix else _read_entry(program.target)
    found = None if module is None else find_module(module, path)
    if found is None or not is_in_site(found.base):
        return program
    return _with_packages(program, module, path)


def _read_entry(file: str) -> str | None:
    # Late, as few programs have such a script.
    from autoxla.lookahead.scripts import read_entry

    return read_entry(file)


def _with_packages(program: Program, module: str | None, path: list[str]) -> Program | None:
    """Return `program` with the packages of the distribution of `module`, where it is to be followed."""
    # Late, as following is not needed where a reading is kept.
    from autoxla.lookahead.follower import is_tracked

    top = (module or "").partition(".")[0]
    if module is None or top in TOOLS or top in sys.stdlib_module_names or is_tracked(top):
        return None
    found = find_module(module, path)
    if found is None:
        editable = any(package.name.partition(".")[0] == top for package in find_editable(sys.meta_path))
        return replace(program, installed=True) if editable else None
    if not is_in_site(found.base):
        # The folder of an editable distribution is one of the program's own, by its path entry.
        return None if _is_installed(found.base) else replace(program, installed=True)
    packages = find_distribution(found, [Path(program.target).name])
    return replace(program, installed=True, packages=packages)


def _is_installed(file: str) -> bool:
    path = Path(os.path.abspath(file))
    if is_in_site(str(path)):
        return True
    folders = {os.path.join(prefix, "bin") for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    folders |= {os.path.join(prefix, "Scripts") for prefix in (sys.prefix, sys.base_prefix)}
    library = os.path.dirname(os.__file__)
    return str(path.parent) in folders or path.is_relative_to(library)


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
        if word.startswith("--"):
            if word == "--check-hash-based-pycs":
                next(words, None)
            continue
        found = _read_letters(word[1:], words)
        if found is not None:
            return (*found, list(words))
    return "none", None, []


def search_path(program: Program | None) -> list[str]:
    """Return ``sys.path`` as it is in `program`'s own process, whichever command it is that asks.

    Without a program: as it is for any one in the current folder.
    """
    if program is not None and program.patience is not None:
        return sys.path
    is_safe = getattr(sys.flags, "safe_path", False)  # PYVERSION: -P came with 3.11
    here = os.getcwd()  # noqa: PTH109
    # The folder that Python put in front for the command: of ``python -m``, or of a script.
    ours = ("", here, os.path.dirname(os.path.abspath(sys.argv[0])))
    entries = sys.path[1:] if not is_safe and sys.path[:1] and sys.path[0] in ours else sys.path
    return entries if is_safe else [here if program is None else str(program.folder), *entries]


def _read_letters(letters: str, words: Iterator[str]) -> tuple[str, str | None] | None:
    for at, letter in enumerate(letters):
        if letter in "cm":
            return letter, letters[at + 1 :] or next(words, None)
        if letter in "WX":
            if not letters[at + 1 :]:
                next(words, None)
            return None
    return None
