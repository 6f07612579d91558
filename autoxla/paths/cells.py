"""A notebook as a program that Python runs: its code cells, one after the other, in one namespace.

A kernel lives on after an error, so its end tells nothing of the notebook. Here each cell becomes a file with
the name by which findings call the cell: tracebacks and marks name cell and line, and TensorFlow finds the
source of a function.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from autoxla.lookahead.notebook import read_standing

#: The beginning of the program. Who asks which program runs (`autoxla.lookahead.program`) finds the notebook.
_BEGIN = """\
def _begin():
    import os, sys
    os.chdir({folder!r})
    sys.path[0], sys.argv[0] = {folder!r}, {notebook!r}
_begin()
del _begin
__file__ = {notebook!r}
"""
#: A line for each cell: so the search for a cure knows which of two cells is the later one.
_CELL = "exec(compile(open({file!r}, encoding='utf-8').read(), {file!r}, 'exec'))\n"
#: What `autoxla.lookahead.notebook` makes of magics: of these, a variable is set where its value is known.
_MAGIC = "__import__("
_ENV = re.compile(r"__import__\('os'\)\.environ\[.*\] = (?!None$)")


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
        for number, (typed, line) in enumerate(zip(cell.typed.split("\n"), plain, strict=False)):
            code = line.lstrip()
            if typed != line and not _ENV.match(code):
                left_out.append(f"{file.name}:{number + 1}: {typed.strip()}")
                if code.startswith(_MAGIC):
                    plain[number] = f"{line[: -len(code)]}pass"
        file.write_text("\n".join(plain), encoding="utf-8")
        lines.append(_CELL.format(file=str(file)))
    program = folder / "cells.py"
    program.write_text("".join(lines), encoding="utf-8")
    return Program(str(program), left_out)
