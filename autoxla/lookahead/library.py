"""The modules of one program: found, parsed once, and handed to the follower."""

# ruff: noqa: PTH100, PTH118 - strings, since pathlib costs more than all that is done with the paths

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import cast

from autoxla.lookahead.files import (
    SITE,
    Finder,
    Location,
    OutOfTimeError,
    current_folder,
    find_top,
    look,
    own_folders,
    shorten,
    undisturbed,
)
from autoxla.lookahead.follower import Follower
from autoxla.lookahead.notebook import Cell, NotANotebookError, read_standing
from autoxla.lookahead.notes import is_tracked
from autoxla.lookahead.objects import find_family
from autoxla.lookahead.program import Program
from autoxla.lookahead.values import Module, Source
from autoxla.model import OUT_OF_TIME, Place, Reading
from autoxla.situation.files import UnreadableError

#: Folders that hold no source of the user's.
SKIPPED_FOLDERS = frozenset(
    {"__pycache__", "__pypackages__", "build", "dist", "node_modules", "site-packages"}
)
#: Bytes a second that the parser and what follows it do at least, on a machine that does other things, too.
_SPEED = 1 << 18
#: Bytes that text has no use for. What cannot be parsed and has one of them was never meant to be source.
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
#: What parsing a file may raise, whatever is in it.
_SYNTAX_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)


class ProgramReader:
    """Reads one program. `path` is all of ``sys.path``. `alone`: its imports are not followed."""

    def __init__(self, program: Program, finder: Finder, path: Sequence[str], *, alone: bool = False) -> None:
        self._program, self._finder, self._alone = program, finder, alone
        self._cwd = current_folder()
        self._installed = [entry for entry in path if os.path.abspath(entry) not in finder.folders]
        self._modules: dict[str, Module | None] = {}
        self._files: list[str] = []
        self._unread: list[tuple[Place, str]] = []
        self._end = None if program.patience is None else monotonic() + program.patience

    def read(self) -> Reading:
        """Return the reading; one that is not `known` where there is no such program, or no time for it.

        Half a reading would be worse than none: the other half may demand the opposite.
        """
        follower = Follower(self)
        try:
            main, before = self._main()
            evidence = follower.follow(main, before)
            families = {find_family(e.name) for e in evidence if e.kind in ("import", "attribute")} - {None}
            if len(families) > 1 or (families and any(e.kind == "old" for e in evidence)):
                # Where objects of two packages could meet, or what an object is matters, each is followed.
                follower.forget()
                follower = Follower(self, deep=True)
                evidence = follower.follow(main, before)
            return Reading(evidence, not self._unread, True, tuple(self._files), tuple(self._unread))
        except UnreadableError as error:
            reason = str(error)
        except OutOfTimeError:
            reason = f"{OUT_OF_TIME} {self._program.patience:g} s"
        finally:
            # Before the collector is back: it would visit all that was read.
            follower.forget()
        return Reading(unread=((Place(self._label(self._program.target)), reason),))

    def check_time(self, size: int = 0) -> None:
        """Raise `OutOfTimeError` where nobody waits any longer, nor for the parser with ``size`` bytes.

        Nothing stops the parser once it has begun.
        """
        if self._end is not None and monotonic() + size / _SPEED > self._end:
            raise OutOfTimeError

    # The main module

    def _main(self) -> tuple[Module, list[Module]]:
        """Return the main module, and the packages that are imported on the way to it."""
        program = self._program
        before: list[Module] = []
        package = None
        match program.kind:
            case "code":
                return Module("__main__", None, self._parse(program.target, "<string>", True, None)), []
            case "cells":
                if program.target:
                    self._files.append(self._label(program.target))
                else:
                    self.note(Place("notebook"), "the cells that are still to come are not known")
                place = program.target or os.path.join(str(program.folder), "notebook")
                return Module("__main__", None, self._parse_cells(program.cells, place)), []
            case "module":
                name = program.target
                location = self._finder.find(name)
                if location is not None and location.folder is not None:
                    name = f"{name}.__main__"
                    location = self._finder.find(name)
                if location is None:
                    raise UnreadableError("no module of that name has source here")
                package = name.rpartition(".")[0]
                parts = package.split(".")
                above = (self.load(".".join(parts[:end])) for end in range(1, len(parts) + 1))
                before = [module for module in above if module is not None]
            case "directory":
                path, package = os.path.abspath(program.target), ""
                if self._finder.kind(path) == "f":
                    raise UnreadableError("a program in a zip is not read")
                location = Location(os.path.join(path, "__main__.py"))
            case _:
                location = Location(os.path.abspath(program.target))
        return Module("__main__", package, self._sources(location, main=True)), before

    # The library that the follower asks

    def load(self, module: str) -> Module | None:
        """Return one of the program's own modules, parsed; None for all others."""
        if module in self._modules:
            return self._modules[module]
        self.check_time()
        top = module.partition(".")[0]
        is_theirs = top in sys.builtin_module_names or top in ("autoxla", "__main__", "")
        location = None if is_theirs else self._finder.find(top)
        if location is not None and location.file is None:
            # Any installed package goes before a folder that is none.
            is_theirs = top in sys.stdlib_module_names or is_tracked(top)
            location = None if is_theirs or find_top(top, self._installed) else location
        location = location and self._finder.find(module)
        found = None
        if location is not None:
            package = module.rpartition(".")[0] if location.folder is None else module
            found = Module(module, package, ())
            if self._alone:
                self.note(Place(self._label(self._program.target)), f"module {module} is read by itself only")
            else:
                try:
                    found.sources = self._sources(location, main=False)
                except UnreadableError as error:
                    self.note(Place(self._label(location.file or module)), str(error))
        self._modules[module] = found
        return found

    def add_folder(self, folder: str) -> None:
        """Search `folder` for modules, too; a relative one is below the working directory.

        Where packages are installed nothing is the program's own, whichever environment it belongs to.
        """
        if SITE.isdisjoint(Path(folder).parts):
            self._finder.add_folder(os.path.normpath(os.path.join(self._cwd, folder)))
            self._modules = {name: module for name, module in self._modules.items() if module is not None}

    # Files

    def _sources(self, location: Location, *, main: bool) -> tuple[Source, ...]:
        """Return the source of a module's file; raises `UnreadableError`, syntax errors are noted."""
        path = location.file
        if path is None:
            return ()
        data = self._finder.read(path)
        label = self._label(path)
        self._files.append(label)
        if not main or self._program.kind != "notebook":
            return self._parse(data, label, main, path)
        try:
            cells = read_standing(data)
        except NotANotebookError as error:
            self.note(Place(label), f"it is no notebook: {error}")
            return ()
        return self._parse_cells([Cell(f"{label}:cell {c.number}", c.text or "") for c in cells], path)

    def _parse_cells(self, cells: Iterable[Cell], place: str) -> tuple[Source, ...]:
        parsed = (self._parse(cell.text, cell.label, True, place, cell.certain) for cell in cells)
        return tuple(source for sources in parsed for source in sources)

    def _parse(
        self, data: bytes | str, label: str, main: bool, place: str | None, certain: bool = True
    ) -> tuple[Source, ...]:
        self.check_time(len(data))
        try:
            tree = cast("ast.Module", compile(data, label, "exec", ast.PyCF_ONLY_AST, dont_inherit=True))
        except _SYNTAX_ERRORS as error:
            if isinstance(data, bytes) and _CONTROL.search(data):
                self.note(Place(label), "it is a binary file, no Python source")
                return ()
            line, text = (error.lineno, error.msg) if isinstance(error, SyntaxError) else (None, str(error))
            self.note(Place(label, line), f"it cannot be parsed: {text or type(error).__name__}")
            return ()
        source = data.encode(errors="surrogatepass") if isinstance(data, str) else data
        lines = enumerate(source.splitlines(), 1) if b"yield" in source else ()
        yields = [number for number, line in lines if b"yield" in line]
        return (Source(label, place, tree, yields, main, certain),)

    def _label(self, path: str) -> str:
        return shorten(path, self._cwd)

    def note(self, place: Place, reason: str) -> None:
        """Note what is passed over, or cannot be followed."""
        if (place, reason) not in self._unread:
            self._unread.append((place, reason))


def read_paths(paths: Sequence[Path]) -> dict[Path, Reading]:
    """Return a reading of every ``.py`` and ``.ipynb`` file at or below `paths`, each by itself.

    Each file is read as if it were the program; its imports are not followed. Hidden folders,
    virtual environments, ``__pycache__`` and build folders are skipped, unless named in `paths`.
    """
    found: dict[Path, Reading] = {}
    with undisturbed():
        for file in dict.fromkeys(file for path in paths for file in find_files(path)):
            # The folder in which the package that the file is in, if any, is found.
            folder = Path(os.path.abspath(file)).parent
            while (folder / "__init__.py").exists() and folder != folder.parent:
                folder = folder.parent
            program = Program("notebook" if file.suffix == ".ipynb" else "script", str(file), folder)
            finder = Finder(own_folders(folder, ()), {})
            found[file] = ProgramReader(program, finder, (), alone=True).read()
    return found


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
