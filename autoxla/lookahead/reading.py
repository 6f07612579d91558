"""Reading of whole programs, and what was read, kept for the next run."""

# ruff: noqa: PTH100 - strings, since pathlib costs more than all that is done with the paths

from __future__ import annotations

import ast
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, cast, get_args

from autoxla.cache import has_record, make_key
from autoxla.lookahead.files import (
    Finder,
    Looker,
    Package,
    Signature,
    UnreadError,
    current_folder,
    find_editable,
    look,
    own_folders,
    shorten,
    undisturbed,
)
from autoxla.lookahead.program import Program, search_path
from autoxla.model import Evidence, EvidenceKind, Place, Reading

if TYPE_CHECKING:
    from autoxla.store import Store

#: What a program may say that somebody asks for, beyond the names of its imports.
_TELLING = re.compile(
    rb"keras|estimator|contrib|losses|metrics|optimizers|Strategy|jit|compile|intel_extension|environ|putenv"
    rb"|unsetenv|importlib|import_module|__import__|runpy|exec|eval|magic|get_ipython|load_model|load_weights|save"
)
_IMPORT = re.compile(rb"\bimport\b")
_LONGEST_PLAIN = 1 << 16  # bytes

#: Changes with the meaning of what is stored, or of what is read.
_FORMAT = 5
#: How many programs are remembered, and how long one entry may be in bytes.
MOST_ENTRIES = 64
_LARGEST_ENTRY = 8 << 20
# A file may change again without a new time within this many ns.
_RACE = 2_000_000_000
_KINDS, _GRADES = frozenset(get_args(EvidenceKind)), frozenset({"certain", "possible"})
#: The types of the parts of `Evidence` in what is stored, where places are lists.
_TYPES: tuple[set[type], ...] = (
    {str},
    {str},
    {str, bool, NoneType},
    {str},
    {list},
    {bool},
    {bool},
    {list, NoneType},
)


def read_program(
    program: Program, *, path: Sequence[str] | None = None, cache: Path | None = None
) -> Reading:
    """Return what the source of `program` and of its own modules says; nothing is imported or executed.

    `path` stands for ``sys.path``; of the packages installed there only the program's own are entered,
    and where `path` is None those that are installed as editable in this process. An entry point that
    names no backend is not known: it may be a tool that runs other programs. Nor is one that could not be
    read within `Program.patience`. In `cache` readings are kept for the next time, those that were cut
    short excepted. In each file an attribute or call is evidence at the first place only, and none is where
    nobody asks for any of them. Columns begin with 1; those of text beyond ASCII count bytes. Raises nothing
    of its own.
    """
    entries = [entry for entry in (search_path(program) if path is None else path) if isinstance(entry, str)]
    folders = own_folders(program.folder, entries)
    packages = [*program.packages, *(find_editable(sys.meta_path) if path is None else ())]
    if cache is None:
        return _read(program, folders, packages, entries)[0]
    own = [program.installed, [list(package) for package in packages]]
    version = list(sys.version_info[:3])
    key = make_key(_FORMAT, program.kind, program.target, current_folder(), folders, own, entries, version)
    known = recall(cache, key)
    if known is not None:
        return known
    reading, seen = _read(program, folders, packages, entries)
    if seen:
        keep(cache, key, reading, seen)
    return reading


def _read(
    program: Program, folders: list[str], packages: Sequence[Package], path: Sequence[str]
) -> tuple[Reading, Mapping[str, Signature]]:
    """Return the reading, and what was looked at for it: nothing where it ended before its time."""
    looker = Looker()
    with undisturbed():
        plain = read_plain(program, Finder(looker, folders, packages), looker)
        if plain is not None:
            return plain, looker.seen
        from autoxla.lookahead.library import ProgramReader
        from autoxla.lookahead.notes import brings_backend

        reader = ProgramReader(program, folders, path, cwd=current_folder(), packages=packages)
        reading, seen = reader.read(), reader.seen
        named = (e.name for e in reading.evidence if e.kind in ("import", "attribute", "call"))
        if program.installed and reading.known and not any(map(brings_backend, named)):
            reason = "it is installed and names no backend: it may be a tool that runs other programs"
            reading = Reading(unread=((Place(program.target), reason),))
        # Before the collector is back: it would visit all that was read.
        reader.forget()
        return reading, {} if reader.is_cut else seen


def read_plain(program: Program, finder: Finder, looker: Looker) -> Reading | None:
    """Return the reading of a program in which there is nothing to follow, None for all others.

    That is a short one of a single file, whose imports stand at its start, and which says nothing else that
    anybody asks for: it names no Keras, sets no variable, imports nothing by a computed name. Its imports are
    the evidence.
    """
    if program.kind != "script" or program.installed:
        return None
    place = os.path.abspath(program.target)
    label = shorten(place, current_folder())
    try:
        data = looker.read(place)
        # Letters beyond ASCII may stand for those of a name, and so may others under a declared coding.
        is_long = len(data) > _LONGEST_PLAIN
        if is_long or not data.isascii() or _TELLING.search(data) or b"coding" in data[:200]:
            return None
        tree = cast("ast.Module", compile(data, label, "exec", ast.PyCF_ONLY_AST, dont_inherit=True))
    except (UnreadError, SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None
    evidence: list[Evidence] = []
    tops: set[str] = set()
    rest: list[ast.stmt] = [*tree.body]
    while rest and isinstance(node := rest[0], (ast.Import, ast.ImportFrom, ast.Expr)):
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom(module=str(name), level=0) if node.names[0].name != "*":
                names = [] if name == "__future__" else [name]
            case ast.Expr(value=ast.Constant()):  # the documentation
                names = []
            case _:
                break
        for name in dict.fromkeys(names):
            top = name.partition(".")[0]
            tops.add(top)
            if top not in sys.stdlib_module_names and top != "__main__":
                at = Place(label, node.lineno, node.col_offset + 1)
                evidence.append(Evidence("import", name, None, "certain", at))
        del rest[0]
    left = b"\n".join(data.splitlines()[rest[0].lineno - 1 :]) if rest else b""
    # ``getattr`` with the text of a name is as good as the name.
    texts = (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)) if b"getattr" in left else ()
    is_followed = (
        _IMPORT.search(left) is not None
        or (not tops.isdisjoint(("sys", "site")) and b"path" in left)
        or any(isinstance(text, str) and _TELLING.search(text.encode()) for text in texts)
        or any(finder.find(top) is not None for top in tops.difference(sys.builtin_module_names))
    )
    return None if is_followed else Reading(tuple(evidence), True, True, (label,))


# --- What is kept


def open_readings(folder: Path) -> Store:
    """Return the store of readings in ``folder``."""
    from autoxla.store import Store

    return Store(folder, largest=_LARGEST_ENTRY, most=MOST_ENTRIES, most_bytes=MOST_ENTRIES * _LARGEST_ENTRY)


def keep(folder: Path, key: str, reading: Reading, seen: Mapping[str, Signature]) -> None:
    """Keep ``reading``, unless a file is so new that its next change could go unseen.

    What cannot be written is not: the next run reads again.
    """
    newest = max((found[2] for found in seen.values() if found is not None), default=0)
    if time.time_ns() - newest >= _RACE:
        with suppress(OSError):
            open_readings(folder).write(key, {"seen": seen, "reading": _to_data(reading)})


def recall(folder: Path, key: str) -> Reading | None:
    """Return what was read the last time, None where nothing is kept that still holds."""
    try:
        entry: Any = open_readings(folder).read(key) if has_record(folder, key) else None
        if entry is None:
            return None
        for path, before in entry["seen"].items():
            now = look(path)
            if (None if now is None else list(now)) != before:
                return None
        return _from_data(entry["reading"])
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _to_data(reading: Reading) -> dict[str, object]:
    def of(place: Place) -> list[object]:
        return [place.file, place.line, place.column]

    return {
        "evidence": [
            (e.kind, e.name, e.value, e.grade, of(e.place), e.early, e.caught, e.origin and of(e.origin))
            for e in reading.evidence
        ],
        "complete": reading.complete,
        "known": reading.known,
        "files": reading.files,
        "unread": [[of(place), reason] for place, reason in reading.unread],
    }


def _from_data(data: Mapping[str, Any]) -> Reading:
    """Return what `_to_data` was given. Raises TypeError or ValueError on what it does not give."""
    rows, files = data["evidence"], data["files"]
    # Each form of a row once, since there may be thousands of rows.
    for form in {tuple(map(type, row)) for row in rows}:
        if len(form) != len(_TYPES) or any(
            kind not in kinds for kind, kinds in zip(form, _TYPES, strict=True)
        ):
            raise TypeError
    is_right = {row[0] for row in rows} <= _KINDS and {row[3] for row in rows} <= _GRADES
    if not is_right or not {*map(type, files), *(type(reason) for _, reason in data["unread"])} <= {str}:
        raise ValueError
    return Reading(
        evidence=tuple(
            Evidence(kind, name, value, grade, _place(*place), early, caught, origin and _place(*origin))
            for kind, name, value, grade, place, early, caught, origin in rows
        ),
        complete=data["complete"] is True,
        known=data["known"] is True,
        files=tuple(files),
        unread=tuple((_place(*place), reason) for place, reason in data["unread"]),
    )


def _place(file: object, line: object, column: object) -> Place:
    if type(file) is not str or not {type(line), type(column)} <= {int, NoneType}:
        raise TypeError
    return Place(file, line, column)  # type: ignore[arg-type]
