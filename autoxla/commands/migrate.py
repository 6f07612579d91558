"""``python -m autoxla migrate --to legacy|keras3 [--write] PATH…``: move source to one Keras generation.

``--to legacy`` makes ``import keras``, ``from tensorflow import keras``, ``tf.keras.X`` … use tf_keras,
``--to keras3`` makes all of them, and tf_keras, use Keras 3. PATH is a file, a notebook or a folder.
Shows the changes as a diff; ``--write`` makes them. A file with anything in it that cannot be moved
safely is left as it is, and each reason is told as ``path:line:column code level message``; a line
with ``# autoxla: ignore`` is left out. ``-q``, ``--quiet`` leaves out the count at the end, unless there
was an error. Runs and imports nothing of what it reads.

Exit status: 0 nothing (left) to do, 1 there are changes to make or something was refused, 2 a file
could not be read or written, or the arguments are not understood.
"""

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

from autoxla.commands.arguments import BadArgumentsError, HelpFormatter, Parser, add_quiet
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


class _FileError(Exception):
    """A file that cannot be read or written; the message says why."""


def main(argv: list[str]) -> int:
    """Do what ``argv`` asks for; return the exit status."""
    try:
        options = _parse(argv)
    except BadArgumentsError as error:
        say(f"AX902 error arguments: {error}; see python -m autoxla migrate --help")
        return 2
    if importlib.util.find_spec("libcst") is None:
        say("AX902 error migrate: it needs libcst: pip install 'autoxla-runtime[migrate]'")
        return 2
    tally = Tally()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _DEPTH))
    try:
        for file in _files(options.paths, tally):
            _process(file, options, tally)
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads on; Python would say once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    finally:
        sys.setrecursionlimit(limit)
    return _finish(tally, options)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog="python -m autoxla migrate",
        description=__doc__,
        formatter_class=HelpFormatter,
        epilog="example: python -m autoxla migrate --to keras3 src train.py",
        allow_abbrev=False,
    )
    parser.add_argument("--to", choices=("legacy", "keras3"), required=True, help="the generation")
    parser.add_argument("--write", action="store_true", help="make the changes instead of showing them")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files, notebooks, folders")
    add_quiet(parser, "leave out the count at the end, unless there was an error")
    return parser.parse_args(argv)


# Files


def _files(paths: Iterable[Path], tally: Tally) -> Iterator[Path]:
    """Yield the files that ``paths`` stand for, each once; those named outright whatever their suffix."""
    seen: set[str] = set()
    for path in paths:
        for file in _walk(path, tally) if path.is_dir() else [path]:
            real = os.path.realpath(file)
            if real not in seen:
                seen.add(real)
                yield file


def _walk(folder: Path, tally: Tally) -> Iterator[Path]:
    def note(error: OSError) -> None:
        tally.errors.append(f"{error.filename}: {error.strerror}")

    for root, folders, names in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if _is_source(Path(root, name)))
        yield from (Path(root, name) for name in sorted(names) if name.endswith(_SUFFIXES))


def _is_source(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in _SKIPPED
    return not hidden and not (folder / "pyvenv.cfg").exists()


def _process(file: Path, options: argparse.Namespace, tally: Tally) -> None:
    try:
        data = _read(file)
        new, diff, refusals = _migrate(file, data, options.to)
        if new != data and options.write:
            _replace(file, data, new)
    except _FileError as error:
        tally.errors.append(f"{file}: {error}")
        return
    except OSError as error:
        tally.errors.append(f"{file}: {error.strerror or error}")
        return
    tally.read += 1
    tally.changed += new != data
    tally.refused += bool(refusals)
    for line in refusals:
        print(printable(line), file=sys.stderr)
    if not options.write:
        sys.stdout.write(diff)


def _read(file: Path) -> bytes:
    if not file.is_file():
        raise _FileError("it is no file" if file.exists() else "there is no such file")
    return file.read_bytes()


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


# One file


def _migrate(file: Path, data: bytes, target: Generation) -> tuple[bytes, str, list[str]]:
    """Return the new content of a file, the diff, and what was refused, as printed."""
    if b"keras" not in data and b"tensorflow" not in data:
        return data, "", []
    notebook = file.suffix == ".ipynb"
    try:
        # With a byte order mark it is utf-8-sig, which writes one, too.
        encoding = "utf-8" if notebook else tokenize.detect_encoding(io.BytesIO(data).readline)[0]
        text = data.decode(encoding)
    except (LookupError, SyntaxError, UnicodeError) as error:
        raise _FileError(f"its text cannot be decoded: {error}") from None
    try:
        new, parts, refused = (_notebook if notebook else _module)(text, target)
    except RecursionError:
        raise _FileError("it is nested too deeply") from None
    own = [name for name in ("keras.py", "keras/__init__.py") if (file.parent / name).is_file()]
    if refused or new == text:
        lines = [f"{file}{cell}:{r.line}:{r.column} {r.code} warning {r.message}" for cell, r in refused]
        return data, "", lines
    if own and not (file.parent / "__init__.py").exists():
        return data, "", [f"{file}:1:1 AX122 warning `keras` may be the program's own {own[0]}"]
    diff = "".join(_diff(f"{file}{cell}", before, after) for cell, before, after in parts)
    try:
        return new.encode(encoding), diff, []
    except UnicodeError as error:
        raise _FileError(f"its text cannot be encoded: {error}") from None


_Change = tuple[str, "list[tuple[str, str, str]]", "list[tuple[str, Refusal]]"]


def _module(text: str, target: Generation) -> _Change:
    """Return the new text, the parts that change with their places, and what was refused with its place."""
    from autoxla.commands.migration.codemod import migrate_text

    try:
        new, refusals = migrate_text(text, target)
    except SyntaxError as error:
        raise _FileError(f"it cannot be read as Python: line {error.lineno or 1}: {error.msg}") from None
    return new, [("", text, new)], [("", refusal) for refusal in refusals]


def _notebook(text: str, target: Generation) -> _Change:
    from autoxla.commands.migration.notebook import NotebookError, migrate_notebook

    try:
        change = migrate_notebook(text, target)
    except NotebookError as error:
        raise _FileError(str(error)) from None
    parts = [(f":cell {number}", before, after) for number, before, after in change.cells]
    return change.text, parts, [(f":cell {number}", refusal) for number, refusal in change.refusals]


def _diff(name: str, before: str, after: str) -> str:
    name = printable(name)
    old, new = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (before, after))
    lines = difflib.unified_diff(old, new, name, name)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _finish(tally: Tally, options: argparse.Namespace) -> int:
    for error in tally.errors:
        say(f"AX902 error {error}")
    parts = [f"{tally.read} file{'' if tally.read == 1 else 's'} read"]
    parts.append(f"{tally.changed} {'changed' if options.write else 'would change'}")
    if tally.refused:
        parts.append(f"{tally.refused} left as {'it is' if tally.refused == 1 else 'they are'}")
    if tally.errors:
        parts.append(f"{len(tally.errors)} in error")
    open_changes = tally.changed and not options.write
    if tally.errors or not options.quiet:
        say(", ".join(parts) + ("; --write makes the changes" if open_changes else ""))
    return 2 if tally.errors else 1 if tally.refused or open_changes else 0
