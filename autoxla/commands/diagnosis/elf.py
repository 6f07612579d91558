"""Shared libraries read as files, never loaded: what they need, and where their constants are.

Anything may lie in a folder of plug-ins. A file that is damaged, or made to mislead, gives
`UnreadableElfError` and no more.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from autoxla.situation.files import is_file

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

MAGIC = b"\x7fELF"
#: What is read of a table: more is no library of anybody's.
_MOST_TAGS = 4096
_MOST_HEADERS = 4096
_LONGEST_NAME = 4096
_Result = TypeVar("_Result")


class UnreadableElfError(Exception):
    """Why a file cannot be read as a shared library."""


class NoReaderError(UnreadableElfError):
    """pyelftools is not installed."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The names of the libraries that one needs, and the folders in which it wants them searched.

    `runpath` goes behind ``LD_LIBRARY_PATH``, `rpath` before it, and counts only without the other.
    """

    names: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()


def read_needs(file: Path) -> Needs:
    """Return what ``file`` needs. Raises `UnreadableElfError`."""
    return _read(file, _find_needs)


def find_read_only_data(file: Path) -> tuple[int, int]:
    """Return where the constants of ``file`` begin and end in it. Raises `UnreadableElfError`."""
    return _read(file, _find_constants)


def has_magic(file: Path) -> bool:
    """Return whether ``file`` begins as a shared library of Linux does, or cannot be opened."""
    if not is_file(file):
        return True
    try:
        with file.open("rb") as stream:
            return stream.read(4) == MAGIC
    except OSError:
        return True


def _read(file: Path, question: Callable[[ELFFile], _Result]) -> _Result:
    try:
        from elftools.elf.elffile import ELFFile
    except ImportError as error:
        raise NoReaderError("pyelftools is not installed") from error
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableElfError("it is no regular file")
        with file.open("rb") as stream:
            _check_header(stream.read(64), status.st_size)
            stream.seek(0)
            return question(ELFFile(stream))
    except UnreadableElfError:
        raise
    except OSError as error:
        raise UnreadableElfError(str(error.strerror)) from error
    except Exception as error:  # the reader trusts offsets: a bad file raises anything
        raise UnreadableElfError(f"damaged ({type(error).__name__})") from error


def _check_header(head: bytes, size: int) -> None:
    """Refuse tables that the reader would follow beyond the file, or without an end."""
    if head[:4] != MAGIC:
        raise UnreadableElfError("it is no ELF file")
    if len(head) < 64 or head[4] not in (1, 2) or head[5] not in (1, 2):
        raise UnreadableElfError("damaged (header)")
    order = "<" if head[5] == 1 else ">"
    if head[4] == 1:
        *tables, _, _, ph_size, ph_count, sh_size, sh_count = struct.unpack_from(f"{order}IIIHHHHH", head, 28)
        wanted = (32, 40)
    else:
        *tables, _, _, ph_size, ph_count, sh_size, sh_count = struct.unpack_from(f"{order}QQIHHHHH", head, 32)
        wanted = (56, 64)
    for offset, each, count, right in zip(
        tables, (ph_size, sh_size), (ph_count, sh_count), wanted, strict=True
    ):
        # A table without entries has its length elsewhere: in what may be any number.
        is_endless = offset and (each != right or not 0 < count <= _MOST_HEADERS)
        if is_endless or offset + each * count > size:
            raise UnreadableElfError("damaged (tables)")


def _find_needs(elf: ELFFile) -> Needs:
    from elftools.elf.dynamic import DynamicSegment

    names: list[str] = []
    paths: dict[str, tuple[str, ...]] = {}
    segments = (each for each in elf.iter_segments() if isinstance(each, DynamicSegment))
    for segment in islice(segments, 1):
        for tag in islice(segment.iter_tags(), _MOST_TAGS):
            kind = tag.entry.d_tag
            if kind == "DT_NEEDED":
                names.append(_shorten(tag.needed))
            elif kind in ("DT_RPATH", "DT_RUNPATH"):
                text = tag.rpath if kind == "DT_RPATH" else tag.runpath
                paths[kind] = tuple(filter(None, _shorten(text).split(":")))
    return Needs(tuple(filter(None, names)), paths.get("DT_RPATH", ()), paths.get("DT_RUNPATH", ()))


def _shorten(text: object) -> str:
    """Return a name of the file's; bytes that are no text become marks, and it must be a name's length."""
    name = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    if len(name) > _LONGEST_NAME or "\0" in name:
        raise UnreadableElfError("damaged (names)")
    return name


def _find_constants(elf: ELFFile) -> tuple[int, int]:
    for section in _sections(elf):
        if section.name == ".rodata":
            start = section["sh_offset"]
            return start, start + section["sh_size"]
    raise UnreadableElfError("it has no read-only data")


def _sections(elf: ELFFile) -> Iterator[Any]:
    yield from islice(elf.iter_sections(), _MOST_HEADERS)
