"""A program that is a zip."""

from __future__ import annotations

import zipfile

from autoxla.lookahead.files import LIMIT, Location, Looker, UnreadError

_ERRORS = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile)


class Archive:
    """A zip with a program in it. Raises `UnreadError` where it is none."""

    def __init__(self, looker: Looker, path: str) -> None:
        self.path = path
        found = looker.look(path)
        if found is None or found[0] != "f":
            raise UnreadError("it is not a regular file")
        try:
            self._zip = zipfile.ZipFile(path)
        except _ERRORS as error:
            raise UnreadError(f"it is no zip: {error}") from error
        self._names = frozenset(self._zip.namelist())

    def find(self, base: str) -> Location | None:
        """Return where the module below `base`, a path without suffix, is."""
        if f"{base}/__init__.py" in self._names:
            return Location("package", f"{base}/__init__.py", self.path)
        if f"{base}.py" in self._names:
            return Location("module", f"{base}.py", self.path)
        if any(name.startswith(f"{base}/") for name in self._names):
            return Location("namespace", base, self.path)
        return None

    def read(self, name: str) -> bytes:
        """Return a member of at most `LIMIT` bytes; raises `UnreadError`."""
        try:
            if self._zip.getinfo(name).file_size > LIMIT:
                raise UnreadError(f"it has more than {LIMIT} bytes")
            with self._zip.open(name) as stream:
                return stream.read(LIMIT + 1)
        # Decompression raises errors of its own, and NotImplementedError or RuntimeError.
        except _ERRORS as error:
            raise UnreadError(f"it cannot be read: {error}") from error
