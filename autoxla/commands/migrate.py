"""``python -m autoxla migrate --to legacy|keras3 PATH…``: move source to one Keras generation."""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import io
import os
import re
import sys
import tempfile
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from autoxla.commands import CommandError
from autoxla.notice import printable, say

if TYPE_CHECKING:
    from autoxla.commands.migration.codemod import Refusal
    from autoxla.commands.migration.names import Generation

#: Calls within each other that libcst may need for deeply nested source.
_DEPTH = 10_000
_SUFFIXES = (".ipynb", ".py", ".pyi", ".pyw")
_SKIPPED = ("__pycache__", "build", "dist", "node_modules", "site-packages")


@dataclass(slots=True)
class Tally:
    """How many files were read, changed, refused, and what went wrong."""

    read: int = 0
    changed: int = 0
    refused: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Change:
    """What is to be done with a file: its new content and the diff, or what was refused, as printed."""

    content: bytes
    diff: str = ""
    refused: list[str] = field(default_factory=list)


class _FileError(Exception):
    """A file that cannot be read or written; the message says why."""


def run(options: argparse.Namespace) -> int:
    """Migrate what ``options`` name; return the exit status."""
    if importlib.util.find_spec("libcst") is None:
        raise CommandError("migrate: it needs libcst: pip install 'autoxla-runtime[migrate]'")
    tally = Tally()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _DEPTH))
    try:
        for file in _files(options.paths, tally):
            _process(file, options, tally)
        sys.stdout.flush()
    finally:
        sys.setrecursionlimit(limit)
    for line in tally.errors:
        say(f"AX902 error {line}")
    parts = [f"{tally.read} file{'' if tally.read == 1 else 's'} read"]
    parts.append(f"{tally.changed} {'changed' if options.write else 'would change'}")
    if tally.refused:
        parts.append(f"{tally.refused} left as {'it is' if tally.refused == 1 else 'they are'}")
    if tally.errors:
        parts.append(f"{len(tally.errors)} in error")
    is_open = tally.changed and not options.write
    if tally.errors or not options.quiet:
        say(", ".join(parts) + ("; --write makes the changes" if is_open else ""))
    return 2 if tally.errors else 1 if tally.refused or is_open else 0


def _files(paths: Iterable[Path], tally: Tally) -> Iterator[Path]:
    """Yield the files that ``paths`` stand for, each once; those named outright whatever their suffix."""
    seen: set[str] = set()

    def walk(path: Path) -> Iterator[Path]:
        def note(error: OSError) -> None:
            tally.errors.append(f"{error.filename}: {error.strerror}")

        for root, folders, names in os.walk(path, onerror=note):
            folders[:] = sorted(
                name
                for name in folders
                if not name.startswith(".")
                and name not in _SKIPPED
                and not Path(root, name, "pyvenv.cfg").exists()
            )
            yield from (Path(root, name) for name in sorted(names) if name.endswith(_SUFFIXES))

    for path in paths:
        for file in walk(path) if path.is_dir() else [path]:
            real = os.path.realpath(file)
            if real not in seen:
                seen.add(real)
                yield file


def _process(file: Path, options: argparse.Namespace, tally: Tally) -> None:
    """Read one file, show or make its changes, and count it."""
    try:
        if not file.is_file():
            raise _FileError("it is no file" if file.exists() else "there is no such file")
        data = file.read_bytes()
        change = _migrate(file, data, options.to)
        if change.content != data and options.write:
            _replace(file, data, change.content)
    except (_FileError, OSError) as error:
        tally.errors.append(f"{file}: {getattr(error, 'strerror', None) or error}")
        return
    tally.read += 1
    tally.changed += change.content != data
    tally.refused += bool(change.refused)
    for line in change.refused:
        print(printable(line), file=sys.stderr)
    if not options.write:
        sys.stdout.write(change.diff)


def _replace(file: Path, before: bytes, after: bytes) -> None:
    """Put ``after`` in the place of ``before`` in one step; mode and links stay."""
    target = Path(os.path.realpath(file))
    if not os.access(target, os.W_OK):
        raise _FileError("it cannot be written: it is read-only")
    if target.read_bytes() != before:
        raise _FileError("it was not written: it has changed since it was read")
    handle, name = tempfile.mkstemp(prefix=".autoxla-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(after)
            stream.flush()
            os.fsync(handle)
        Path(name).chmod(target.stat().st_mode & 0o7777)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _migrate(file: Path, data: bytes, target: Generation) -> Change:
    """Return what to do with a file. Raises `_FileError` where it cannot be read."""
    if b"keras" not in data and b"tensorflow" not in data:
        return Change(data)
    from autoxla.commands.migration.codemod import migrate_text
    from autoxla.commands.migration.notebook import NotebookError, migrate_notebook

    is_notebook = file.suffix == ".ipynb"
    # What changes, and what was refused, each behind what names the cell.
    parts: list[tuple[str, str, str]]
    refused: list[tuple[str, Refusal]]
    try:
        # With a byte order mark it is utf-8-sig, which writes one, too.
        encoding = "utf-8" if is_notebook else tokenize.detect_encoding(io.BytesIO(data).readline)[0]
        text = data.decode(encoding)
    except (LookupError, SyntaxError, UnicodeError) as error:
        raise _FileError(f"its text cannot be decoded: {error}") from None
    try:
        if is_notebook:
            change = migrate_notebook(text, target)
            new = change.text
            parts = [(f":cell {number}", before, after) for number, before, after in change.cells]
            refused = [(f":cell {number}", refusal) for number, refusal in change.refusals]
        else:
            new, refusals = migrate_text(text, target)
            parts, refused = [("", text, new)], [("", refusal) for refusal in refusals]
        content = new.encode(encoding)
    except SyntaxError as error:
        raise _FileError(f"it cannot be read as Python: line {error.lineno or 1}: {error.msg}") from None
    except NotebookError as error:
        raise _FileError(str(error)) from None
    except RecursionError:
        raise _FileError("it is nested too deeply") from None
    except UnicodeError as error:
        raise _FileError(f"its text cannot be encoded: {error}") from None
    lines = [f"{file}{cell}:{r.line}:{r.column} {r.code} warning {r.message}" for cell, r in refused]
    if refused or new == text:
        return Change(data, refused=lines)
    own = [name for name in ("keras.py", "keras/__init__.py") if (file.parent / name).is_file()]
    if own and not (file.parent / "__init__.py").exists():
        return Change(data, refused=[f"{file}:1:1 AX122 warning `keras` may be the program's own {own[0]}"])
    diff = ""
    for cell, before, after in parts:
        name = printable(f"{file}{cell}")
        old, now = (re.findall(r"[^\n]*\n|[^\n]+", each) for each in (before, after))
        for line in difflib.unified_diff(old, now, name, name):
            diff += line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
    return Change(content, diff)
