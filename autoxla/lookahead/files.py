"""Finding and reading the program's own files, and noting what was looked at, for the cache."""

# ruff: noqa: PTH100, PTH109, PTH116, PTH118, PTH120 - strings, since pathlib costs more than all that is done with the paths

from __future__ import annotations

import gc
import os
import stat
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import NamedTuple

from autoxla.situation.files import UnreadableError, read_bytes

#: The names of the folders that packages are installed in.
SITE = frozenset({"site-packages", "dist-packages"})
#: Bytes. What is longer is data that happens to be Python.
LIMIT = 4 << 20
#: What parsing a file may raise, whatever is in it.
SYNTAX_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)
_COMPILED = (*EXTENSION_SUFFIXES, ".pyc")
#: Packages whose attributes are evidence, beside all that are called after TensorFlow or Keras.
_TRACKED = frozenset({"intel_extension_for_tensorflow", "tf2onnx", "transformers"})
_TRACKED_PREFIXES = ("tensorflow", "keras", "tf_")


class OutOfTimeError(Exception):
    """Whoever waits for the reading has waited long enough."""


class Location(NamedTuple):
    """Where a module is: its `file`, None for a bare folder, and its `folder`, None where it has none."""

    file: str | None
    folder: str | None = None


def look(path: str) -> tuple[str, int, int] | None:
    """Return what is at `path`, None for nothing: its kind, its bytes, and when it changed in ns.

    The kinds are a regular file (``f``), a folder (``d``), of which only that is told, and others (``?``).
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    if stat.S_ISDIR(found.st_mode):
        return "d", 0, 0
    return "f" if stat.S_ISREG(found.st_mode) else "?", found.st_size, found.st_mtime_ns


@contextmanager
def undisturbed() -> Iterator[None]:
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


def current_folder() -> str:
    """Return the current folder, empty where it is gone."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def shorten(path: str, cwd: str) -> str:
    """Return `path` as places have it: relative to the current folder where it lies below that."""
    return path[len(cwd) + 1 :] if cwd and path.startswith(cwd + os.sep) else path


def is_in_site(file: str) -> bool:
    """Tell whether a path is one of installed packages, or below it."""
    return not SITE.isdisjoint(Path(file).parts)


def is_installed(file: str) -> bool:
    """Tell whether a path is one of this Python's own: a package, a script, the standard library."""
    path = Path(os.path.abspath(file))
    folders = {os.path.join(prefix, "bin") for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    in_library = path.is_relative_to(os.path.dirname(os.__file__))
    return in_library or is_in_site(str(path)) or str(path.parent) in folders


def is_tracked(module: str) -> bool:
    """Tell whether attributes of a module outside the program are evidence."""
    return module.startswith(_TRACKED_PREFIXES) or module.partition(".")[0] in _TRACKED


def find_top(name: str, path: Iterable[object]) -> str | None:
    """Return where a top-level package or module is: its folder, or its file without suffix."""
    bases = (os.path.join(os.path.abspath(entry), name) for entry in path if isinstance(entry, str))
    files = ((base, (os.path.join(base, "__init__.py"), f"{base}.py")) for base in bases)
    return next((base for base, names in files if any(map(os.path.isfile, names))), None)


def find_editable(finders: Sequence[object]) -> dict[str, str]:
    """Return the top-level packages that setuptools maps to folders outside the installed ones.

    `finders` are those of ``sys.meta_path``; each distribution that is installed such has one.
    """
    names = (getattr(finder, "__module__", None) for finder in finders)
    modules = [sys.modules.get(n) for n in names if isinstance(n, str) and n.startswith("__editable__")]
    items = (item for module in modules for item in getattr(module, "MAPPING", {}).items())
    return {name: os.path.abspath(base).removesuffix(".py") for name, base in items}


class Finder:
    """Finds a program's own modules by their dotted names, and reads them.

    They lie in `folders`: the program's `folder`, and those of `path` (as ``sys.path``) that are neither of
    installed packages nor of the standard library. `packages` lie elsewhere and are its own nevertheless:
    `find_top` of each. `seen` holds what was where anything was looked for, at the first look.
    """

    def __init__(self, folder: str | Path, path: Iterable[str], packages: Mapping[str, str]) -> None:
        self.folders, self._packages = [os.path.abspath(folder)], packages
        self._installed: list[str] = []
        library = os.path.dirname(os.__file__)
        for entry in dict.fromkeys(map(os.path.abspath, filter(None, path))):
            # The standard library is itself a folder, another with ``lib-dynload``, and a zip.
            is_own = not (is_in_site(entry) or entry.startswith(library) or entry.endswith(".zip"))
            if entry not in self.folders:
                (self.folders if is_own else self._installed).append(entry)
        self.seen: dict[str, tuple[str, int, int] | None] = {}
        self._found: dict[str, Location | None] = {}

    def kind(self, path: str) -> str | None:
        """Return what kind of thing is at `path`, as `look` has it; None for nothing."""
        if path not in self.seen:
            self.seen[path] = look(path)
        found = self.seen[path]
        return None if found is None else found[0]

    def read(self, path: str) -> bytes:
        """Return the content of a regular file of at most `LIMIT` bytes; raises `UnreadableError`."""
        if self.kind(path) is None:
            raise UnreadableError("it is not there")
        content = read_bytes(path, LIMIT)
        if content is None:
            raise UnreadableError("it cannot be read")
        return content

    def add_folder(self, folder: str) -> None:
        """Search `folder`, too, as after ``sys.path.append``; a relative one is below the working directory.

        Where packages are installed nothing is the program's own, whichever environment it belongs to.
        """
        folder = os.path.normpath(os.path.join(current_folder(), folder))
        if not is_in_site(folder) and folder not in self.folders:
            self.folders.append(folder)
            self._found = {name: place for name, place in self._found.items() if place is not None}

    def find(self, module: str) -> Location | None:
        """Return where one of the program's own modules is; None for all others."""
        if module not in self._found:
            self._found[module] = self._find(module)
        return self._found[module]

    def _find(self, module: str) -> Location | None:
        package, _, name = module.rpartition(".")
        if not name or os.sep in module:  # no module, and a path to where nothing is the program's
            return None
        if package:
            parent = self.find(package)
            folder = None if parent is None else parent.folder
            return None if folder is None else self._find_in(folder, name, _COMPILED)
        if name in sys.builtin_module_names or name in ("autoxla", "__main__"):
            return None
        bare = None
        for each in self.folders:
            found = self._find_in(each, name)
            if found is not None and found.file is not None:
                return found
            bare = bare or found
        if name in self._packages:
            return self._find_in(*os.path.split(self._packages[name]))
        # Any installed package goes before a folder that is none.
        is_theirs = name in sys.stdlib_module_names or is_tracked(name) or find_top(name, self._installed)
        return None if is_theirs else bare

    def _find_in(self, folder: str, name: str, suffixes: Sequence[str] = ()) -> Location | None:
        base = os.path.join(folder, name)
        is_folder = self.kind(base) == "d"
        # A pipe is found, too, which is then not read.
        if is_folder and self.kind(package := os.path.join(base, "__init__.py")) not in (None, "d"):
            return Location(package, base)
        for suffix in (".py", *suffixes):
            if self.kind(base + suffix) not in (None, "d"):
                return Location(base + suffix)
        return Location(None, base) if is_folder else None
