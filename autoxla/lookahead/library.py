"""The modules of one program: found, parsed once, and handed to the follower."""

# ruff: noqa: PTH100, PTH118, PTH120 - strings, since pathlib costs more than all that is done with the paths

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic

from autoxla.facts import OUT_OF_TIME, Place, Reading
from autoxla.lookahead.entry import SITE, Package
from autoxla.lookahead.files import Archive, Finder, Location, Looker, OutOfTimeError, Signature, UnreadError
from autoxla.lookahead.follower import Follower, is_tracked
from autoxla.lookahead.interest import FOLLOWED, SYNTAX_ERRORS, read_source
from autoxla.lookahead.notebook import NotANotebookError, read_cells
from autoxla.lookahead.objects import find_family
from autoxla.lookahead.program import Program
from autoxla.lookahead.values import Module, Source

#: Bytes a second that the parser and what follows it do at least, on a machine that does other things, too.
_SPEED = 1 << 18
#: Bytes that text has no use for. What cannot be parsed and has one of them was never meant to be source.
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


class ProgramReader:
    """Reads one program. `alone`: its imports are not followed.

    `folders` are those with its own modules, `packages` its own ones elsewhere, `path` is all of
    ``sys.path``. `seen` tells afterwards what was looked at on disk, `is_cut` that there was no time for all.
    """

    def __init__(
        self,
        program: Program,
        folders: list[str],
        path: Sequence[str],
        *,
        cwd: str,
        packages: Sequence[Package] = (),
        alone: bool = False,
    ) -> None:
        self._program, self._alone, self._cwd = program, alone, cwd
        self._looker = Looker()
        self.seen: dict[str, Signature] = self._looker.seen
        self._installed = [entry for entry in path if os.path.abspath(entry) not in folders]
        self._finder = Finder(self._looker, folders, packages)
        self._archive: Archive | None = None
        self._modules: dict[str, Module | None] = {}
        self._files: list[str] = []
        self._unread: list[tuple[Place, str]] = []
        self._end = None if program.patience is None else monotonic() + program.patience
        self._follower: Follower | None = None
        self.is_cut = False

    def read(self) -> Reading:
        """Return the reading; one that is not `known` where there is no such program, or no time for it.

        Half a reading would be worse than none: the other half may demand the opposite.
        """
        try:
            return self._follow()
        except UnreadError as error:
            reason = str(error)
        except OutOfTimeError:
            self.is_cut = True
            reason = f"{OUT_OF_TIME} {self._program.patience:g} s"
        return Reading(unread=((Place(self._label(self._program.target)), reason),))

    def check_time(self, size: int = 0) -> None:
        """Raise `OutOfTimeError` where nobody waits any longer, nor for the parser with ``size`` bytes.

        Nothing stops the parser once it has begun.
        """
        if self._end is not None and monotonic() + size / _SPEED > self._end:
            raise OutOfTimeError

    def _follow(self) -> Reading:
        main, before = self._main()
        follower = self._follower = Follower(self, each=self._alone)
        evidence = follower.follow(main, before)
        families = {find_family(e.name) for e in evidence if e.kind in ("import", "attribute")} - {None}
        if len(families) > 1:
            # Where objects of two packages could meet, each of them is followed.
            follower.forget()
            for module in (main, *self._modules.values()):
                if module is not None:
                    module.scope.names.clear()
                    module.scope.stars.clear()
            follower = self._follower = Follower(self, each=self._alone, deep=True)
            evidence = follower.follow(main, before)
        main.scope.names.clear()
        unread = (*self._unread, *follower.unread)
        return Reading(evidence, not unread, True, tuple(self._files), unread)

    def forget(self) -> None:
        """Let go of all modules, whose scopes refer to each other."""
        for module in self._modules.values():
            if module is not None:
                module.scope.names.clear()
        self._modules.clear()
        if self._follower is not None:
            self._follower.forget()

    # The main module

    def _main(self) -> tuple[Module, list[Module]]:
        program = self._program
        if program.kind == "code":
            sources = self._parse(program.target, "<string>", main=True, place=None)
            return Module("__main__", None, sources), []
        if program.kind == "module":
            return self._main_of_module(program.target)
        if program.kind == "directory":
            return self._main_of_directory(program.target), []
        if program.kind == "cells":
            return self._main_of_cells(), []
        location = Location("module", os.path.abspath(program.target))
        package = self._package_beside(location.path) if self._alone else None
        return Module("__main__", package, self._sources(location, main=True)), []

    def _main_of_module(self, name: str) -> tuple[Module, list[Module]]:
        location = self._finder.find(name)
        if location is not None and location.kind in ("package", "namespace"):
            name = f"{name}.__main__"
            location = self._finder.find(name)
        if location is None or location.kind == "compiled":
            raise UnreadError("no module of that name has source here")
        parts = name.split(".")[:-1]
        loaded = (self.load(".".join(parts[:end])) for end in range(1, len(parts) + 1))
        before = [module for module in loaded if module is not None]
        return Module("__main__", ".".join(parts), self._sources(location, main=True)), before

    def _main_of_directory(self, target: str) -> Module:
        path = os.path.abspath(target)
        if self._looker.is_folder(path):
            location = Location("module", os.path.join(path, "__main__.py"))
        else:
            self._archive = Archive(self._looker, path)
            self._finder = Finder(self._looker, self._finder.folders, self._finder.packages, self._archive)
            found = self._archive.find("__main__")
            if found is None:
                raise UnreadError("there is no __main__.py in it")
            location = found
        return Module("__main__", "", self._sources(location, main=True))

    def _main_of_cells(self) -> Module:
        program = self._program
        if program.target:
            self._files.append(self._label(program.target))
        else:
            self._note("notebook", "the cells that are still to come are not known")
        place = program.target or os.path.join(str(program.folder), "notebook")
        parsed = [(self._parse(c.text, c.label, main=True, place=place), c.certain) for c in program.cells]
        sources = [(source, certain) for found, certain in parsed for source in found]
        doubtful = frozenset(at for at, (_, certain) in enumerate(sources) if not certain)
        return Module("__main__", None, tuple(source for source, _ in sources), doubtful=doubtful)

    def _package_beside(self, file: str) -> str:
        """Return the package that a file is in, by the folders above it."""
        folder = os.path.relpath(os.path.dirname(file), self._program.folder)
        return "" if folder == "." else folder.replace(os.sep, ".")

    # The library that the follower asks

    def load(self, module: str) -> Module | None:
        """Return one of the program's own modules, parsed; None for all others."""
        if module not in self._modules:
            self.check_time()
            self._modules[module] = self._load(module) if self._is_own(module) else None
        return self._modules[module]

    def loaded(self, module: str) -> Module | None:
        """Return one of the program's own modules if something imports it."""
        return self._modules.get(module)

    def add_folder(self, folder: str) -> None:
        """Search `folder` for modules, too; a relative one is below the working directory.

        Where packages are installed nothing is the program's own, whichever environment it belongs to.
        """
        if not SITE.isdisjoint(Path(folder).parts):
            return
        self._finder.add_folder(os.path.normpath(os.path.join(self._cwd, folder)))
        self._modules = {name: module for name, module in self._modules.items() if module is not None}

    def _load(self, module: str) -> Module | None:
        location = self._finder.find(module)
        if location is None:
            return None
        name = module if location.kind in ("package", "namespace") else module.rpartition(".")[0]
        if self._alone:
            self._note(self._label(self._program.target), f"module {module} is read by itself only")
            return Module(module, name, ())
        try:
            return Module(module, name, self._sources(location, main=False))
        except UnreadError as error:
            self._note(self._label(location.path), str(error))
            return Module(module, name, ())

    def _is_own(self, module: str) -> bool:
        top = module.partition(".")[0]
        if top in sys.builtin_module_names or top in ("autoxla", "__main__", ""):
            return False
        location = self._finder.find(top)
        if location is None:
            return False
        # Any installed package goes before a folder that is none.
        return location.kind != "namespace" or not self._is_installed(top)

    def _is_installed(self, name: str) -> bool:
        if name in sys.stdlib_module_names or is_tracked(name):
            return True
        bases = (os.path.join(folder, name) for folder in self._installed)
        return any(
            self._looker.is_file(os.path.join(base, "__init__.py")) or self._looker.is_file(f"{base}.py")
            for base in bases
        )

    # Files

    def _sources(self, location: Location, *, main: bool) -> tuple[Source, ...]:
        """Return the source of a module's file; raises `UnreadError`, syntax errors are noted."""
        if location.kind == "namespace":
            return ()
        if location.kind == "compiled":
            raise UnreadError("it is compiled")
        if location.archive is not None and self._archive is not None:
            data = self._archive.read(location.path)
            path = os.path.join(location.archive, location.path)
        else:
            path = location.path
            data = self._looker.read(path)
        label = self._label(path)
        self._files.append(label)
        if main and self._program.kind == "notebook":
            return tuple(self._cells(data, label, path))
        return self._parse(data, label, main=main, place=path)

    def _cells(self, data: bytes, label: str, path: str) -> Iterator[Source]:
        try:
            cells = read_cells(data)
        except NotANotebookError as error:
            self._note(label, f"it is no notebook: {error}")
            return
        for number, text in cells:
            yield from self._parse(text, f"{label}:cell {number}", main=True, place=path)

    def _parse(self, data: bytes | str, label: str, *, main: bool, place: str | None) -> tuple[Source, ...]:
        self.check_time(len(data))
        try:
            # The cells of a notebook have their names in common.
            shared = isinstance(data, str) and place is not None
            source = read_source(data, label, main=main, matters=self._matters, place=place, shared=shared)
        except SYNTAX_ERRORS as error:
            if isinstance(data, bytes) and _CONTROL.search(data):
                self._note(label, "it is a binary file, no Python source")
                return ()
            line = error.lineno if isinstance(error, SyntaxError) else None
            self._unread.append((Place(label, line), f"it cannot be parsed: {_reason(error)}"))
            return ()
        return (source,)

    def _matters(self, module: str, level: int) -> bool:
        top = module.partition(".")[0]
        return bool(level) or top in FOLLOWED or is_tracked(module) or (not self._alone and self._is_own(top))

    def _label(self, path: str) -> str:
        inside = self._cwd and path.startswith(self._cwd + os.sep)
        return path[len(self._cwd) + 1 :] if inside else path

    def _note(self, label: str, reason: str) -> None:
        if (note := (Place(label), reason)) not in self._unread:
            self._unread.append(note)


def _reason(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return text or type(error).__name__
