"""``python -m autoxla migrate --to legacy|keras3 [--write] PATH…``: move source to one Keras generation.

``--to legacy`` makes ``import keras``, ``from tensorflow import keras``, ``tf.keras.X`` … use tf_keras,
``--to keras3`` makes all of them, and tf_keras, use Keras 3. PATH is a file, a notebook or a folder.
Shows the changes as a diff; ``--write`` makes them. A file with anything in it that cannot be moved
safely is left as it is, and each reason is told as ``path:line:column code level message``; a line
with ``# autoxla: ignore`` is left out. ``-q``, ``--quiet`` leaves out the count at the end, unless there
was an error. Runs and imports nothing of what it reads.

Exit status: 0 nothing (left) to do, 1 there are changes to make or something was refused, 2 a file
could not be read or written, or the arguments are not understood.

example: python -m autoxla migrate --to keras3 src train.py
"""

from __future__ import annotations

import difflib
import importlib.util
import io
import os
import re
import sys
import tempfile
import threading
import tokenize
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from autoxla.commands.arguments import QUIET
from autoxla.commands.terminal import print_help
from autoxla.notice import printable, say

if TYPE_CHECKING:
    from autoxla.commands.migration.names import Generation
    from autoxla.commands.migration.codemod import Refusal

USAGE = "usage: python -m autoxla migrate --to legacy|keras3 [--write] [--quiet] PATH..."
_FLAGS = ("--write", *QUIET)
_BOM = b"\xef\xbb\xbf"
#: Room for Python's own limits on nesting: bytes, and calls.
_STACK = 512 << 20
_DEPTH = 50_000
_WORTH = re.compile(rb"keras|tensorflow")
_SUFFIXES = (".ipynb", ".py", ".pyi", ".pyw")
_SKIPPED = ("__pycache__", "build", "dist", "node_modules", "site-packages")


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for."""

    target: Generation
    paths: tuple[Path, ...]
    write: bool
    quiet: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a file: its new bytes, the diff, what was refused, as printed."""

    new: bytes | None = None
    diff: str = ""
    refusals: tuple[str, ...] = ()


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
    if "-h" in argv or "--help" in argv:
        print_help(USAGE, __doc__ or "")
        return 0
    request = _parse(argv)
    if isinstance(request, str):
        say(f"AX902 error arguments: {request}; {USAGE}")
        return 2
    if importlib.util.find_spec("libcst") is None:
        say("AX902 error migrate: it needs libcst: pip install 'autoxla-runtime[migrate]'")
        return 2
    tally = Tally()
    try:
        _run_deep(lambda: _process_all(request, tally))
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads on; Python would say once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return _finish(tally, request)


def _run_deep(work: Callable[[], None]) -> None:
    """Do ``work`` in a thread with room for deeply nested source, over which libcst recurs."""
    limit, size = sys.getrecursionlimit(), threading.stack_size(_STACK)
    sys.setrecursionlimit(max(limit, _DEPTH))
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work).result()
    finally:
        threading.stack_size(size)
        sys.setrecursionlimit(limit)


def _process_all(request: Request, tally: Tally) -> None:
    for file in _files(request.paths, tally):
        _process(file, request, tally)


def _parse(argv: list[str]) -> Request | str:
    """Return the request, or what is wrong with it."""
    targets: list[str] = []
    paths: list[Path] = []
    flags: set[str] = set()
    words = iter(argv)
    for word in words:
        if word == "--to" or word.startswith("--to="):
            targets.append(word[5:] if word != "--to" else next(words, ""))
        elif word == "--":
            paths += map(Path, words)
        elif word in _FLAGS:
            flags.add(word)
        elif word.startswith("-"):
            return f"{word!r} is not understood"
        else:
            paths.append(Path(word))
    if len(targets) != 1 or targets[0] not in ("legacy", "keras3"):
        return "--to legacy or --to keras3 is needed"
    target: Generation = "legacy" if targets[0] == "legacy" else "keras3"
    if not paths:
        return "no path is given"
    return Request(target, tuple(paths), write="--write" in flags, quiet=not flags.isdisjoint(QUIET))


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
    for root, folders, names in os.walk(folder, onerror=lambda error: _note(tally, folder, error)):
        folders[:] = sorted(name for name in folders if _is_source(Path(root, name)))
        for name in sorted(names):
            if name.endswith(_SUFFIXES):
                yield Path(root, name)


def _note(tally: Tally, path: Path, error: OSError) -> None:
    tally.errors.append(f"{error.filename or path}: {error.strerror or error}")


def _is_source(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in _SKIPPED
    return not hidden and not (folder / "pyvenv.cfg").exists()


def _process(file: Path, request: Request, tally: Tally) -> None:
    try:
        data = _read(file)
        result = _migrate(file, data, request.target)
        if request.write and result.new is not None:
            _replace(file, data, result.new)
    except _FileError as error:
        tally.errors.append(f"{file}: {error}")
        return
    tally.read += 1
    tally.changed += result.new is not None
    tally.refused += bool(result.refusals)
    for line in result.refusals:
        print(printable(line), file=sys.stderr)
    if not request.write:
        sys.stdout.write(result.diff)


def _read(file: Path) -> bytes:
    try:
        if not file.is_file():
            raise _FileError("it is no file" if file.exists() else "there is no such file")
        return file.read_bytes()
    except OSError as error:
        raise _FileError(f"it cannot be read: {error.strerror or error}") from None


def _replace(file: Path, before: bytes, after: bytes) -> None:
    """Put ``after`` in the place of ``before`` in one step; mode and links stay."""
    target = Path(os.path.realpath(file))
    try:
        if not os.access(target, os.W_OK):
            raise _FileError("it cannot be written: it is read-only")
        if target.read_bytes() != before:
            raise _FileError("it was not written: it has changed since it was read")
        _write_over(target, after)
    except OSError as error:
        raise _FileError(f"it cannot be written: {error.strerror or error}") from None


def _write_over(target: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=".autoxla-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(handle)
        Path(name).chmod(target.stat().st_mode & 0o7777)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


# One file


def _migrate(file: Path, data: bytes, target: Generation) -> Result:
    if not _WORTH.search(data):
        return Result()
    notebook = file.suffix == ".ipynb"
    text, encoding, mark = _decode(data, notebook)
    result = _migrate_notebook(file, text, target) if notebook else _migrate_module(file, text, target)
    if isinstance(result, Result):
        return result
    new, diff = result
    own = _own_keras(file)
    if own:
        return Result(refusals=(f"{file}:1:1 AX122 warning `keras` may be the program's own {own}",))
    return Result(mark + _encode(new, encoding), diff)


def _decode(data: bytes, notebook: bool) -> tuple[str, str, bytes]:
    """Return text, encoding and byte order mark."""
    mark = _BOM if data.startswith(_BOM) else b""
    body = data[len(mark) :]
    try:
        encoding = "utf-8" if notebook or mark else tokenize.detect_encoding(io.BytesIO(body).readline)[0]
        return body.decode(encoding), encoding, mark
    except (LookupError, SyntaxError, UnicodeError) as error:
        raise _FileError(f"its text cannot be decoded: {error}") from None


def _encode(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeError as error:
        raise _FileError(f"its text cannot be encoded: {error}") from None


def _migrate_module(file: Path, text: str, target: Generation) -> Result | tuple[str, str]:
    from autoxla.commands.migration.codemod import migrate_text
    from autoxla.commands.migration.source import SourceError

    try:
        new, refusals = migrate_text(text, target)
    except SourceError as error:
        raise _FileError(f"it cannot be read as Python: {error}") from None
    except RecursionError:
        raise _FileError("it is nested too deeply") from None
    if refusals or new == text:
        return Result(refusals=tuple(_line(str(file), refusal) for refusal in refusals))
    return new, _diff(str(file), text, new)


def _migrate_notebook(file: Path, text: str, target: Generation) -> Result | tuple[str, str]:
    from autoxla.commands.migration.notebook import NotebookError, migrate_notebook

    try:
        change = migrate_notebook(text, target)
    except NotebookError as error:
        raise _FileError(str(error)) from None
    except RecursionError:
        raise _FileError("it is nested too deeply") from None
    if change.refusals or not change.cells:
        lines = tuple(_line(f"{file}:cell {number}", refusal) for number, refusal in change.refusals)
        return Result(refusals=lines)
    diffs = (_diff(f"{file}:cell {number}", before, after) for number, before, after in change.cells)
    return change.text, "".join(diffs)


def _line(place: str, refusal: Refusal) -> str:
    return f"{place}:{refusal.line}:{refusal.column} {refusal.code} warning {refusal.message}"


def _diff(name: str, before: str, after: str) -> str:
    name = printable(name)
    lines = difflib.unified_diff(_lines(before), _lines(after), name, name)
    ended = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
    return "".join(ended)


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _own_keras(file: Path) -> str | None:
    """Return a module ``keras`` next to a script, which Python would find first."""
    if (file.parent / "__init__.py").exists():
        return None
    found = [name for name in ("keras.py", "keras/__init__.py") if (file.parent / name).is_file()]
    return found[0] if found else None


def _finish(tally: Tally, request: Request) -> int:
    for error in tally.errors:
        say(f"AX902 error {error}")
    if tally.errors or not request.quiet:
        say(_summary(tally, request))
    if tally.errors:
        return 2
    return 1 if tally.refused or (tally.changed and not request.write) else 0


def _summary(tally: Tally, request: Request) -> str:
    verb = "changed" if request.write else "would change"
    parts = [f"{_count(tally.read)} read", f"{tally.changed} {verb}"]
    if tally.refused:
        parts.append(f"{tally.refused} left as {'it is' if tally.refused == 1 else 'they are'}")
    if tally.errors:
        parts.append(f"{len(tally.errors)} in error")
    advice = "; --write makes the changes" if tally.changed and not request.write else ""
    return ", ".join(parts) + advice


def _count(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"
