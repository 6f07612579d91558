"""Which program runs in this process, where its lines are, and which import statement is under way."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal

from autoxla.lookahead import Program, find_program
from autoxla.model import Place
from autoxla.planning import Subject, name_command, shorten, subject_of
from autoxla.situation.cluster import runs_parts

if TYPE_CHECKING:
    from autoxla.hooks.notebook import CellLog


def running_subject() -> Subject:
    """Return the program of this process; where it is not known, a worker's main module tells the project."""
    in_ipython = _find_in_ipython()
    if in_ipython is not None and in_ipython.kind == "cells":
        return subject_of(in_ipython, ())
    try:
        found = in_ipython or find_program(sys.modules.get("__main__"), sys.argv, sys.orig_argv)
    except FileNotFoundError:  # the current folder is gone, and a name is relative to it
        found = None
    file = program_file() if found is None else None
    folder = None if file is None or _is_installed(str(file)) else file.resolve().parent
    return subject_of(found, sys.argv[1:], folder)


def program_file() -> Path | None:
    """Return the file of the program that runs, None where there is none (``-c``, a notebook)."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    # In a worker of loky or Ray, theirs is the main module.
    if not isinstance(file, str) or (is_worker() and _is_installed(file)):
        return None
    return Path(file)


def is_worker() -> bool:
    """Return whether this process was started to run parts of another one's program."""
    return runs_parts(sys.orig_argv)


def find_cells() -> Program | None:
    """Return the notebook, or the session of IPython, that runs in this process, None where none does."""
    found = _find_in_ipython()
    return found if found is not None and found.kind == "cells" else None


def find_shell() -> Literal["the kernel", "IPython"] | None:
    """Return what runs the program cell by cell, as a user would call it."""
    log = find_log()
    if log is None or find_cells() is None:
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
    return place_of(_importing_frame())


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
    libraries = ("autoxla", "wrapt", "contextlib", "keras", "tf_keras", "tensorflow")
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in libraries:
        frame = frame.f_back
    return frame


def _find_in_ipython() -> Program | None:
    log = find_log()
    return None if log is None else log.program()


def _is_installed(file: str) -> bool:
    return Path(file).resolve().is_relative_to(Path(sys.prefix).resolve())


def _importing_frame() -> FrameType | None:
    """Return the frame of the import statement under way, none of ours or of the import system."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        # IPython's own frames stand between a cell and the import that its ``%load_ext`` makes.
        ours = name == "autoxla" or name.startswith(("autoxla.", "importlib", "IPython."))
        if not ours and not frame.f_code.co_filename.startswith("<frozen importlib"):
            break
        frame = frame.f_back
    return frame
