"""``python -m autoxla migrate --to legacy|keras3 PATH…``: move source to one Keras generation."""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import io
import os
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

from autoxla.commands import CommandError
from autoxla.lookahead.library import find_files
from autoxla.notice import printable, say
from autoxla.store import write_whole

if TYPE_CHECKING:
    from autoxla.commands.migration.names import Generation

#: Calls within each other that libcst may need for deeply nested source.
_DEPTH = 10_000
_SUFFIXES = (".ipynb", ".py", ".pyi", ".pyw")


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
    sys.setrecursionlimit(_DEPTH)
    for file in files.values():
        try:
            if not file.is_file():
                raise ValueError("it is no file")
            data = file.read_bytes()
            content, diff, reasons = _migrate(file, data, options.to)
            if content != data and options.write:
                # Mode and links stay.
                target = file.resolve()
                if not os.access(target, os.W_OK):
                    raise ValueError("it cannot be written: it is read-only")
                if target.read_bytes() != data:
                    raise ValueError("it was not written: it has changed since it was read")
                write_whole(target, content, target.stat().st_mode & 0o7777)
        except (ValueError, OSError) as error:
            errors.append(f"{file}: {getattr(error, 'strerror', None) or error}")
            continue
        read, changed, refused = read + 1, changed + (content != data), refused + bool(reasons)
        for line in reasons:
            print(printable(f"{file}{line}"), file=sys.stderr)
        if not options.write:
            sys.stdout.write(diff)
    sys.stdout.flush()
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
    """Return a file's new content and the diff, or what was refused. Raises ValueError for none."""
    if b"keras" not in data and b"tensorflow" not in data:
        return data, "", []
    from autoxla.commands.migration.codemod import migrate_text
    from autoxla.commands.migration.notebook import migrate_notebook

    try:
        if file.suffix == ".ipynb":
            encoding = "utf-8"
            new, parts, refused = migrate_notebook(data.decode(encoding), target)
        else:
            # With a byte order mark it is utf-8-sig, which writes one, too.
            encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
            text = data.decode(encoding)
            new, refusals = migrate_text(text, target)
            # All of it, as if it were a cell without a number.
            parts, refused = ((0, text, new),), tuple((0, refusal) for refusal in refusals)
        content = new.encode(encoding)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except SyntaxError as error:
        raise ValueError(f"it cannot be read as Python: line {error.lineno or 1}: {error.msg}") from None
    own = [name for name in ("keras.py", "keras/__init__.py") if (file.parent / name).is_file()]
    if content != data and own and not (file.parent / "__init__.py").exists():
        return data, "", [f":1:1 AX122 warning `keras` may be the program's own {own[0]}"]
    diff = ""
    for number, before, after in parts:
        # Of all that ends lines for Python, only this one does for a diff.
        old, now = (io.StringIO(each).readlines() for each in (before, after))
        name = printable(f"{file}:cell {number}" if number else str(file))
        for line in difflib.unified_diff(old, now, name, name):
            diff += line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
    lines = [(f":cell {number}" if number else "", refusal) for number, refusal in refused]
    return content, diff, [f"{cell}:{r.line}:{r.column} {r.code} warning {r.message}" for cell, r in lines]
