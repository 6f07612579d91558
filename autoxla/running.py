"""Which program is meant, which runs in this process, and where the line is that is under way."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal

from autoxla.lookahead import Program, find_program
from autoxla.lookahead.files import current_folder, find_top, is_installed
from autoxla.lookahead.program import read_command, search_path
from autoxla.model import Place
from autoxla.situation.cluster import runs_parts

if TYPE_CHECKING:
    from autoxla.hooks.notebook import CellLog


@dataclass(frozen=True, slots=True)
class Subject:
    """A program and its arguments. `folder` is where the search for ``pyproject.toml`` begins.

    `program` None: none in particular, or one whose source is not known. `path` is ``sys.path`` of its
    process.
    """

    program: Program | None
    arguments: tuple[str, ...]
    folder: Path
    path: tuple[str, ...]


def subject_from(words: Sequence[str]) -> Subject:
    """Return what ``python *words`` would run: a script, a folder, ``-m MODULE`` or ``-c CODE``.

    No words: no program in particular.
    """
    _, target, arguments = read_command(["python", *words])
    program = find_program(None, [target or "", *arguments], ["python", *words]) if words else None
    # Nobody waits for it to be read.
    program = None if program is None else replace(program, patience=None)
    return subject_of(program, arguments)


def name_command(program: Program | None) -> str:
    """Return ``program`` as ``python -m autoxla explain`` takes it, quoted; empty where it has no name."""
    if program is None or program.kind in ("code", "cells"):
        return ""
    return f"-m {program.target}" if program.kind == "module" else shlex.quote(shorten(program.target))


def shorten(file: str) -> str:
    """Return ``file`` as a user in the current folder would name it."""
    if file.startswith("<"):
        return file
    try:
        relative = os.path.relpath(file)
    except OSError:  # the current folder is gone
        return file
    return file if relative.startswith("..") else relative


def subject_of(program: Program | None, arguments: Sequence[str], folder: Path | None = None) -> Subject:
    """Return ``program`` as a subject; ``folder`` is the project's where the program itself does not tell."""
    path = tuple(search_path(program))
    own: Path | None = None
    # An installed program has no project's folder, and neither has ``-c``.
    if program is None or program.installed or program.kind == "code":
        own = None
    elif program.kind == "cells":
        own = program.folder
    elif program.kind == "module":
        top, *rest = program.target.split(".")
        base = find_top(top, path)
        if base is not None:
            whole = Path(base, *rest).resolve()
            own = whole if whole.is_dir() else whole.parent
    else:
        target = Path(program.target).resolve()
        own = target if program.kind == "directory" else target.parent
    own = own or folder or Path(current_folder() or "/")
    return Subject(program, tuple(arguments), own, path)


def running_subject() -> Subject:
    """Return the program of this process; where it is not known, a worker's main module tells the project."""
    log = find_log()
    in_ipython = None if log is None else log.program()
    if in_ipython is not None and in_ipython.kind == "cells":
        return subject_of(in_ipython, ())
    try:
        found = in_ipython or find_program(sys.modules.get("__main__"), sys.argv, sys.orig_argv)
    except FileNotFoundError:  # the current folder is gone, and a name is relative to it
        found = None
    file = program_file() if found is None else None
    folder = None if file is None or is_installed(str(file)) else file.resolve().parent
    return subject_of(found, sys.argv[1:], folder)


def program_file() -> Path | None:
    """Return the file of the program that runs, None where there is none (``-c``, a notebook)."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    # In a worker of loky or Ray, theirs is the main module.
    if not isinstance(file, str) or (is_worker() and is_installed(file)):
        return None
    return Path(file)


def is_worker() -> bool:
    """Return whether this process was started to run parts of another one's program."""
    return runs_parts(sys.orig_argv)


def find_shell() -> Literal["the kernel", "IPython"] | None:
    """Return what runs the program cell by cell, as a user would call it."""
    log = find_log()
    program = None if log is None else log.program()
    if log is None or program is None or program.kind != "cells":
        return None
    return "the kernel" if hasattr(log.shell, "kernel") else "IPython"


def find_log() -> CellLog | None:
    """Return what is known of the cells of this process' IPython, None where there is no IPython."""
    # A library may have imported IPython; a shell that runs something is another thing.
    if "IPython" not in sys.modules:
        return None
    from autoxla.hooks import notebook

    return notebook.find_log()


def name_program() -> str | None:
    """Return the program as ``python -m autoxla explain`` takes it, empty where there is none.

    None in a notebook, where nobody is at a command line.
    """
    subject = running_subject()
    if subject.program is not None:
        return None if subject.program.kind == "cells" else name_command(subject.program)
    file = program_file()
    return "" if file is None else shlex.quote(shorten(str(file)))


def importing_place() -> Place:
    """Return the line of the program whose import statement is under way."""
    # IPython's own frames stand between a cell and the import that its ``%load_ext`` makes. The import
    # system has other names before ``importlib`` is imported.
    importing = ("importlib", "_frozen_importlib", "_frozen_importlib_external", "IPython")
    return place_of(_frame_outside("autoxla", *importing))


def place_of(frame: FrameType | None) -> Place:
    """Return where ``frame`` is, as a program's author would name it."""
    if frame is None:
        return Place("program")
    log = find_log()
    cell = None if log is None else log.name_code(frame.f_code.co_filename)
    return Place(cell or shorten(frame.f_code.co_filename), frame.f_lineno)


def calling_place() -> Place:
    """Return the line of the program that called into Keras."""
    return place_of(calling_frame())


def calling_frame() -> FrameType | None:
    """Return the frame that called into Keras, the first that is neither of Keras nor of ours."""
    return _frame_outside("autoxla", "wrapt", "contextlib", "keras", "tf_keras", "tensorflow")


def _frame_outside(*packages: str) -> FrameType | None:
    """Return the innermost frame whose module is in none of these top-level packages."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in packages:
        frame = frame.f_back
    return frame
