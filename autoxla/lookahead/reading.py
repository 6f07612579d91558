"""Reading of whole programs, and of all files below some paths."""

# ruff: noqa: PTH100, PTH109, PTH118 - strings, since pathlib costs more than all that is done with the paths

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from autoxla.lookahead.files import Package, Signature, look, own_folders
from autoxla.lookahead.program import Program, find_editable, search_path
from autoxla.lookahead.store import load, save
from autoxla.model import Place, Reading

#: Folders that hold no source of the user's.
SKIPPED_FOLDERS = frozenset(
    {"__pycache__", "__pypackages__", "build", "dist", "node_modules", "site-packages"}
)


def read_program(
    program: Program, *, path: Sequence[str] | None = None, cache: Path | None = None
) -> Reading:
    """Return what the source of `program` and of its own modules says; nothing is imported or executed.

    `path` stands for ``sys.path``; of the packages installed there only the program's own are entered,
    and where `path` is None those that are installed as editable in this process. An entry point that
    names no backend is not known: it may be a tool that runs other programs. Nor is one that could not be
    read within `Program.patience`. In `cache` readings are kept for the next time, those that were cut
    short excepted. In each file an attribute or call is evidence at the first place only. Columns begin
    with 1; those of text beyond ASCII count bytes. Raises nothing of its own.
    """
    entries = [entry for entry in (search_path(program) if path is None else path) if isinstance(entry, str)]
    folders = own_folders(program.folder, entries)
    packages = [*program.packages, *(find_editable(sys.meta_path) if path is None else ())]
    if cache is None:
        return _read(program, folders, packages, entries)[0]
    own = [program.installed, [list(package) for package in packages]]
    version = list(sys.version_info[:3])
    key: list[object] = [program.kind, program.target, _cwd(), folders, own, entries, version]
    known = load(cache, key)
    if known is not None:
        return known
    reading, seen = _read(program, folders, packages, entries)
    if seen is not None:
        save(cache, key, reading, seen)
    return reading


def read_paths(paths: Sequence[Path]) -> dict[Path, Reading]:
    """Return a reading of every ``.py`` and ``.ipynb`` file at or below `paths`, each by itself.

    Each file is read as if it were the program; its imports are not followed. Hidden folders,
    virtual environments, ``__pycache__`` and build folders are skipped, unless named in `paths`.
    Every place is evidence.
    """
    from autoxla.lookahead.library import ProgramReader

    found: dict[Path, Reading] = {}
    with _undisturbed():
        for file in dict.fromkeys(file for path in paths for file in find_files(path)):
            # The folder in which the package that the file is in, if any, is found.
            folder = Path(os.path.abspath(file)).parent
            while (folder / "__init__.py").exists() and folder != folder.parent:
                folder = folder.parent
            program = Program("notebook" if file.suffix == ".ipynb" else "script", str(file), folder)
            reader = ProgramReader(program, own_folders(folder, ()), (), cwd=_cwd(), alone=True)
            found[file] = reader.read()
            reader.forget()
    return found


def _read(
    program: Program, folders: list[str], packages: Sequence[Package], path: Sequence[str]
) -> tuple[Reading, dict[str, Signature] | None]:
    """Return the reading, and what was looked at for it: None where it ended before its time."""
    from autoxla.lookahead.library import ProgramReader
    from autoxla.lookahead.notes import brings_backend

    with _undisturbed():
        reader = ProgramReader(program, folders, path, cwd=_cwd(), packages=packages)
        reading, seen = reader.read(), reader.seen
        named = (e.name for e in reading.evidence if e.kind in ("import", "attribute", "call"))
        if program.installed and reading.known and not any(map(brings_backend, named)):
            reason = "it is installed and names no backend: it may be a tool that runs other programs"
            reading = Reading(unread=((Place(program.target), reason),))
        # Before the collector is back: it would visit all that was read.
        reader.forget()
        return reading, None if reader.is_cut else seen


def find_files(
    path: Path,
    endings: tuple[str, ...] = (".py", ".ipynb"),
    onerror: Callable[[OSError], None] | None = None,
) -> Iterator[Path]:
    """Yield the user's own files below a folder, or ``path`` itself; ``onerror`` as `os.walk` has it."""
    if not path.is_dir():
        yield path
        return

    def is_skipped(folder: str, name: str) -> bool:
        hidden = name.startswith(".") or name.endswith(".egg-info") or name in SKIPPED_FOLDERS
        return hidden or look(os.path.join(folder, name, "pyvenv.cfg")) is not None

    for folder, names, files in os.walk(path, onerror=onerror):
        names[:] = sorted(name for name in names if not is_skipped(folder, name))
        for name in sorted(files):
            if name.endswith(endings) and not name.startswith("."):
                yield Path(folder, name)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep warnings about the program's syntax back, and the collector from visiting each tree."""
    collects = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if collects:
            gc.enable()


def _cwd() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""
