"""A notebook as a program that Python runs: its code cells, one after the other, in one namespace.

A kernel lives on after an error, so its end tells nothing of the notebook. Here each cell becomes a file with
the name by which findings call the cell: tracebacks and marks name cell and line, and TensorFlow finds the
source of a function.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from autoxla.lookahead.notebook import read_standing

#: The beginning of the program. Who asks which program runs (`autoxla.lookahead.program`) finds the notebook.
#: Of the magics, `autoxla.lookahead.notebook` leaves the one that sets a variable, as a call.
_BEGIN = """\
def _begin():
    import os, sys
    os.chdir({folder!r})
    sys.path[0], sys.argv[0] = {folder!r}, {notebook!r}
    class Shell:
        def run_line_magic(self, _, line):
            name, _, value = line.partition("=" if "=" in line else " ")
            os.environ[name.strip()] = value.strip()
    return Shell
get_ipython, __file__ = _begin(), {notebook!r}
del _begin
"""
#: A line for each cell: so the search for a cure knows which of two cells is the later one.
_CELL = "exec(compile(open({file!r}, encoding='utf-8').read(), {file!r}, 'exec'))\n"
_ENV = "get_ipython().run_line_magic('env'"


class Program(NamedTuple):
    """The file to run, and the lines of the notebook that are left out of it, each with its place."""

    file: str
    left_out: list[str]


def convert(notebook: Path, folder: Path) -> Program:
    """Write the code cells of ``notebook`` as a program below ``folder``, which is there for nothing else.

    Raises OSError, and `autoxla.lookahead.notebook.NotANotebookError`.
    """
    own = notebook.absolute()
    lines, left_out = [_BEGIN.format(folder=str(own.parent), notebook=str(own))], []
    for cell in read_standing(notebook.read_bytes()):
        file = folder / f"{notebook.name}:cell {cell.number}"
        plain = (cell.text or "").split("\n")
        file.write_text("\n".join(plain), encoding="utf-8")
        lines.append(_CELL.format(file=str(file)))
        for number, (typed, line) in enumerate(zip(cell.typed.split("\n"), plain, strict=False), 1):
            if typed != line and _ENV not in line:
                left_out.append(f"{file.name}:{number}: {typed.strip()}")
    program = folder / "cells.py"
    program.write_text("".join(lines), encoding="utf-8")
    return Program(str(program), left_out)
