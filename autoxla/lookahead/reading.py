"""Reading of whole programs."""

# ruff: noqa: PTH100 - strings, since pathlib costs more than all that is done with the paths

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from autoxla.cache import has_record, make_key
from autoxla.lookahead.files import (
    SYNTAX_ERRORS,
    Finder,
    current_folder,
    find_editable,
    shorten,
    undisturbed,
)
from autoxla.lookahead.program import Program, search_path
from autoxla.model import Evidence, Place, Reading
from autoxla.situation.files import UnreadableError

#: What a program may say that somebody asks for, beyond the names of its imports.
_TELLING = re.compile(
    rb"keras|estimator|contrib|losses|metrics|optimizers|Strategy|jit|compile|intel_extension|environ|putenv"
    rb"|unsetenv|importlib|import_module|__import__|runpy|exec|eval|magic|get_ipython|load_model|load_weights|save"
    rb"|addsitedir|metrics_names|setattr|\.lr\b|\._name\b|_autocast|_batch_input_shape|#.*coding[:=]"
)
_LONGEST_PLAIN = 1 << 16  # bytes
#: Changes with the meaning of what is kept, or of what is read.
_FORMAT = 10


def read_program(
    program: Program, *, path: Sequence[str] | None = None, cache: Path | None = None
) -> Reading:
    """Return what the source of `program` and of its own modules says; nothing is imported or executed.

    `path` stands for ``sys.path``; of the packages installed there only the program's own are entered,
    and where `path` is None those that are installed as editable in this process. An entry point that names
    no backend is not known: it may be a tool that runs other programs. Nor is a program that could not be
    read within `Program.patience`. What had to be followed is kept in `cache` for the next time. In each file
    an attribute or call is evidence at the first place only, and none is where nobody asks for any of them.
    Columns begin with 1; those of text beyond ASCII count bytes. Raises nothing of its own.
    """
    entries = search_path(program) if path is None else path
    packages = {**program.packages, **(find_editable(sys.meta_path) if path is None else {})}
    finder = Finder(program.folder, entries, packages)
    with undisturbed():
        plain = read_plain(program, finder)
        if plain is not None:
            return plain
        own = (program.kind, program.target, program.installed, finder.folders, packages)
        key = make_key(_FORMAT, own, current_folder(), entries, sys.version_info[:3])
        if cache is not None and has_record(cache, key):
            from autoxla.lookahead.kept import recall

            known = recall(cache, key)
            if known is not None:
                return known
        from autoxla.lookahead.library import ProgramReader

        reading = ProgramReader(program, finder).read()
        if cache is not None and reading.known:
            from autoxla.lookahead.kept import keep

            keep(cache, key, reading, finder.seen)
        return reading


def read_plain(program: Program, finder: Finder) -> Reading | None:
    """Return the reading of a program in which there is nothing to follow, None for all others.

    That is a short one of a single file, whose imports stand at its start, and which says nothing else that
    anybody asks for: it names no Keras, sets no variable, imports nothing by a computed name. Its imports are
    the evidence. The modules that follow a program are not even loaded for it.
    """
    if program.kind != "script" or program.installed:
        return None
    place = os.path.abspath(program.target)
    label = shorten(place, current_folder())
    try:
        data = finder.read(place)
        # Letters beyond ASCII may stand for those of a name, and so may others under a declared coding.
        if len(data) > _LONGEST_PLAIN or not data.isascii() or _TELLING.search(data):
            return None
        tree = ast.parse(data, label)
    except (UnreadableError, *SYNTAX_ERRORS):
        return None
    nodes = [*ast.walk(tree)]
    imports = [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    statements = [n for n in tree.body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
    # ``getattr`` with the text of a name is as good as the name.
    texts = (n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str))
    if any(_TELLING.search(text.encode(errors="ignore")) for text in texts):
        return None
    if imports != statements[: len(imports)]:
        return None
    evidence: list[Evidence] = []
    for node in imports:
        if isinstance(node, ast.ImportFrom):
            if node.level or node.names[0].name == "*":
                return None
            names = [node.module or ""]
        else:
            names = [alias.name for alias in node.names]
        for name in dict.fromkeys(names):
            top = name.partition(".")[0]
            if finder.find(top) is not None or (top in ("sys", "site") and b"path" in data):
                return None
            if top not in sys.stdlib_module_names and top != "__main__":
                at = Place(label, node.lineno, node.col_offset + 1)
                evidence.append(Evidence("import", name, None, "certain", at))
    return Reading(tuple(evidence), True, True, (label,))
