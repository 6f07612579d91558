"""The modules of one program: found, parsed once, and handed to the follower."""

# ruff: noqa: PTH100, PTH118 - strings, since pathlib costs more than all that is done with the paths

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from time import monotonic

from autoxla.lookahead.files import (
    SYNTAX_ERRORS,
    Finder,
    OutOfTimeError,
    current_folder,
    look,
    shorten,
    undisturbed,
)
from autoxla.lookahead.follower import Follower
from autoxla.lookahead.notebook import Cell, NotANotebookError, read_standing
from autoxla.lookahead.notes import brings_backend
from autoxla.lookahead.objects import find_family
from autoxla.lookahead.program import Program
from autoxla.lookahead.values import Module, Scope
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


class ProgramReader:
    """Reads one program. `alone`: its imports are not followed."""

    def __init__(self, program: Program, finder: Finder, *, alone: bool = False) -> None:
        self._program, self.finder, self._alone = program, finder, alone
        self._cwd = current_folder()
        self._modules: dict[str, Module] = {}
        self._files: list[str] = []
        self._unread: list[tuple[Place, str]] = []
        self._end = None if program.patience is None else monotonic() + program.patience

    def read(self) -> Reading:
        """Return the reading; one that is not `known` where there is no such program, or no time for it.

        Half a reading would be worse than none: the other half may demand the opposite.
        """
        follower = Follower(self)
        try:
            modules = self._find_main()
            evidence = follower.follow(modules)
            named = [e.name for e in evidence if e.kind in ("import", "attribute", "call")]
            if self._program.installed and not any(map(brings_backend, named)):
                raise UnreadableError(
                    "it is installed and names no backend: it may be a tool that runs other programs"
                )
            families = {*map(find_family, named)} - {None}
            if len(families) > 1 or (families and any(e.kind == "old" for e in evidence)):
                # Where objects of two packages could meet, or what an object is matters, each is followed.
                follower.forget()
                follower = Follower(self, deep=True)
                evidence = follower.follow(modules)
            return Reading(evidence, not self._unread, True, tuple(self._files), tuple(self._unread))
        except UnreadableError as error:
            reason = str(error)
        except OutOfTimeError:
            reason = f"{OUT_OF_TIME} {self._program.patience:g} s"
        finally:
            # Before the collector is back: it would visit all that was read.
            follower.forget()
        return Reading(unread=((Place(self._label(self._program.target)), reason),))

    def _find_main(self) -> list[Module]:
        """Return the main module behind the packages that it is in, or a notebook's cells.

        Raises `UnreadableError`.
        """
        program, package = self._program, None
        above: list[Module] = []
        file = os.path.abspath(program.target)
        match program.kind:
            case "code":
                main = Module("__main__", None, "<string>", None, main=True)
                self._parse(main, program.target)
                return [main]
            case "cells":
                if program.target:
                    self._files.append(self._label(program.target))
                else:
                    self.note(Place("notebook"), "the cells that are still to come are not known")
                return self._parse_cells(program.cells, program.target or str(program.folder / "notebook"))
            case "module":
                name = program.target
                location = self.finder.find(name)
                if location is not None and location.folder is not None:
                    name = f"{name}.__main__"
                    location = self.finder.find(name)
                if location is None or location.file is None:
                    raise UnreadableError("no module of that name has source here")
                file, package = location.file, name.rpartition(".")[0]
                parts = package.split(".")
                loaded = (self.load(".".join(parts[:end])) for end in range(1, len(parts) + 1))
                above = [module for module in loaded if module is not None]
            case "directory":
                if self.finder.kind(file) == "f":
                    raise UnreadableError("a program in a zip is not read")
                file, package = os.path.join(file, "__main__.py"), ""
        data = self.finder.read(file)
        main = Module("__main__", package, self._label(file), file, main=True)
        self._files.append(main.label)
        if program.kind != "notebook":
            self._parse(main, data)
            return [*above, main]
        try:
            cells = read_standing(data)
        except NotANotebookError as error:
            self.note(Place(main.label), f"it is no notebook: {error}")
            return []
        return self._parse_cells((Cell(f"{main.label}:cell {c.number}", c.text or "") for c in cells), file)

    # What the follower asks

    def check_time(self, size: int = 0) -> None:
        """Raise `OutOfTimeError` where nobody waits any longer, nor for the parser with ``size`` bytes.

        Nothing stops the parser once it has begun.
        """
        if self._end is not None and monotonic() + size / _SPEED > self._end:
            raise OutOfTimeError

    def load(self, name: str) -> Module | None:
        """Return one of the program's own modules, parsed; None for all others."""
        if name in self._modules:
            return self._modules[name]
        location = self.finder.find(name)
        if location is None:
            return None
        file = location.file or location.folder or ""
        package = name.rpartition(".")[0] if location.folder is None else name
        module = self._modules[name] = Module(name, package, self._label(file), location.file)
        if self._alone:
            self.note(Place(self._label(self._program.target)), f"module {name} is read by itself only")
        elif location.file is not None:
            try:
                data = self.finder.read(location.file)
                self._files.append(module.label)
                self._parse(module, data)
            except UnreadableError as error:
                self.note(Place(module.label), str(error))
        return module

    def note(self, place: Place, reason: str) -> None:
        """Note what is passed over, or cannot be followed."""
        if (place, reason) not in self._unread:
            self._unread.append((place, reason))

    # Source

    def _parse(self, module: Module, data: bytes | str) -> None:
        """Give a module its statements; syntax errors are noted."""
        self.check_time(len(data))
        try:
            module.body = ast.parse(data, module.label).body
        except SYNTAX_ERRORS as error:
            line, text = (error.lineno, error.msg) if isinstance(error, SyntaxError) else (None, str(error))
            if isinstance(data, bytes) and _CONTROL.search(data):
                self.note(Place(module.label), "it is a binary file, no Python source")
            else:
                self.note(Place(module.label, line), f"it cannot be parsed: {text or type(error).__name__}")
            return
        source = data.encode(errors="surrogatepass") if isinstance(data, str) else data
        lines = enumerate(source.splitlines(), 1) if b"yield" in source else ()
        module.yields = [number for number, line in lines if b"yield" in line]

    def _parse_cells(self, cells: Iterable[Cell], file: str) -> list[Module]:
        """Return each cell of a notebook as a module, all with the same names."""
        scope, modules = Scope(), []
        for cell in cells:
            module = Module("__main__", None, cell.label, file, main=True, certain=cell.certain, scope=scope)
            self._parse(module, cell.text)
            modules.append(module)
        return modules

    def _label(self, path: str) -> str:
        return shorten(path, self._cwd)


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
            found[file] = ProgramReader(program, Finder(folder, (), {}), alone=True).read()
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
