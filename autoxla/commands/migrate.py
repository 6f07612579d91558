"""``python -m autoxla migrate --to legacy|keras3 PATH…``: move source to one Keras generation."""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import io
import os
import re
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

from autoxla.commands import CommandError
from autoxla.lookahead.library import find_files
from autoxla.notice import printable, say
from autoxla.store import write_whole

if TYPE_CHECKING:
    from autoxla.commands.migration.codemod import Refusal
    from autoxla.commands.migration.names import Generation

#: Calls within each other that libcst may need for deeply nested source.
_DEPTH = 10_000
_SUFFIXES = (".ipynb", ".py", ".pyi", ".pyw")


class _FileError(Exception):
    """A file that cannot be read or written; the message says why."""


def run(options: argparse.Namespace) -> int:
    """Migrate what ``options`` name; return the exit status."""
    if importlib.util.find_spec("libcst") is None:
        raise CommandError("migrate: it needs libcst: pip install 'autoxla-runtime[migrate]'")
    read = changed = refused = 0
    errors: list[str] = []

    def note(error: OSError) -> None:
        errors.append(f"{error.filename}: {error.strerror}")

    files: dict[str, Path] = {}
    for file in (file for path in options.paths for file in find_files(path, _SUFFIXES, note)):
        files.setdefault(os.path.realpath(file), file)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _DEPTH))
    try:
        for file in files.values():
            try:
                if not file.is_file():
                    raise _FileError("it is no file")
                data = file.read_bytes()
                content, diff, reasons = _migrate(file, data, options.to)
                if content != data and options.write:
                    # Mode and links stay.
                    target = file.resolve()
                    if not os.access(target, os.W_OK):
                        raise _FileError("it cannot be written: it is read-only")
                    if target.read_bytes() != data:
                        raise _FileError("it was not written: it has changed since it was read")
                    write_whole(target, content, target.stat().st_mode & 0o7777)
            except (_FileError, OSError) as error:
                errors.append(f"{file}: {getattr(error, 'strerror', None) or error}")
                continue
            read, changed, refused = read + 1, changed + (content != data), refused + bool(reasons)
            for line in reasons:
                print(printable(line), file=sys.stderr)
            if not options.write:
                sys.stdout.write(diff)
        sys.stdout.flush()
    finally:
        sys.setrecursionlimit(limit)
    for line in errors:
        say(f"AX902 error {line}")
    parts = [f"{read} file{'' if read == 1 else 's'} read"]
    parts.append(f"{changed} {'changed' if options.write else 'would change'}")
    if refused:
        parts.append(f"{refused} left as {'it is' if refused == 1 else 'they are'}")
    if errors:
        parts.append(f"{len(errors)} in error")
    is_open = changed and not options.write
    if errors or not options.quiet:
        say(", ".join(parts) + ("; --write makes the changes" if is_open else ""))
    return 2 if errors else 1 if refused or is_open else 0


def _migrate(file: Path, data: bytes, target: Generation) -> tuple[bytes, str, list[str]]:
    """Return a file's new content and the diff, or what was refused. Raises `_FileError`."""
    if b"keras" not in data and b"tensorflow" not in data:
        return data, "", []
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
    except (NotebookError, UnicodeError) as error:
        raise _FileError(str(error)) from None
    except RecursionError:
        raise _FileError("it is nested too deeply") from None
    own = [name for name in ("keras.py", "keras/__init__.py") if (file.parent / name).is_file()]
    if new != text and own and not (file.parent / "__init__.py").exists():
        return data, "", [f"{file}:1:1 AX122 warning `keras` may be the program's own {own[0]}"]
    if refused or new == text:
        lines = [f"{file}{cell}:{r.line}:{r.column} {r.code} warning {r.message}" for cell, r in refused]
        return data, "", lines
    diff = ""
    for cell, before, after in parts:
        name = printable(f"{file}{cell}")
        old, now = (re.findall(r"[^\n]*\n|[^\n]+", each) for each in (before, after))
        for line in difflib.unified_diff(old, now, name, name):
            diff += line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
    return content, diff, []
