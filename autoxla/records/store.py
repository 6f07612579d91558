"""Reading and writing records; see `autoxla.records`.

What is read is trusted for nothing but being JSON: callers check every part of it. Many processes may
write one key at once, also on a network file system: each writes a file of its own and renames it, so
the last one stands and no lock is needed.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from autoxla.places import check_size, find_file_refusal, find_refusal, make_folder
from autoxla.records.processes import has_ended, name_machine

#: Version of the layout; a record of another one is no record.
SCHEMA = 1
_LARGEST = 1 << 18  # bytes of one record
_MOST = 512  # records kept in a folder; the oldest unused ones leave
_MOST_BYTES = 1 << 24  # of all records in a folder
_DAY = 86_400.0  # seconds: how often a use is noted, and how long an unfinished file may lie
_KEY = re.compile(r"[0-9a-f]{16,64}")
_FILE = re.compile(r"([0-9a-f]{16,64})\.json")
_UNFINISHED = re.compile(r"\.[0-9a-f]{16,64}\.([0-9a-f]{8})-(\d{1,10})-\d+\.tmp")
# O_NONBLOCK: a pipe in the place of a record must not hold the program up.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_counter = itertools.count()


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept under ``key``. `size` is in bytes, `used` in seconds since the epoch, to the day."""

    key: str
    data: dict[str, object]
    size: int
    used: float


class IgnoredError(Exception):
    """Something in the place of a record that is not read, for the reason given."""


class Store:
    """The records in one folder. `ignored` names what was there and not read, each with the reason."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ignored: list[tuple[Path, str]] = []

    def read(self, key: str) -> dict[str, object] | None:
        """Return the record of ``key``, None where there is none that can be read; note its use.

        Raises ValueError where ``key`` is none.
        """
        name = _file_name(key)
        with self._opened() as folder:
            record = None if folder is None else self._read(folder, name, is_use=True)
        return None if record is None else record.data

    def write(self, key: str, data: dict[str, object]) -> None:
        """Write ``data`` as the record of ``key``.

        Raises OSError where the folder cannot be written, cannot be trusted, or the record is too
        large; ValueError or TypeError where JSON has no word for ``data`` (NaN is none).
        """
        name = _file_name(key)
        content = json.dumps({**data, "schema": SCHEMA, "key": key}, allow_nan=False).encode()
        if len(content) > _LARGEST:
            raise OSError(errno.EFBIG, f"a record of {len(content)} bytes is too large", name)
        make_folder(self.folder)
        with self._opened() as folder:
            if folder is None:
                raise PermissionError(errno.EPERM, self.ignored[-1][1], str(self.folder))
            _replace(folder, key, name, content)
            _tidy(folder, keep=name)

    def remove(self, key: str) -> bool:
        """Remove the record of ``key``; return whether there was one. Raises ValueError, OSError."""
        name = _file_name(key)
        with self._opened() as folder:
            if folder is None or name not in _list_own(folder):
                return False
            os.unlink(name, dir_fd=folder)
        return True

    def clear(self) -> int:
        """Remove all files of this user's that are named as records are; return how many. Raises OSError."""
        with self._opened() as folder:
            names = [] if folder is None else [*_list_own(folder)]
            if folder is not None:
                _remove_all(folder, names)
        return len(names)

    def list(self) -> Iterator[Record]:
        """Yield the records, those used last first."""
        with self._opened() as folder:
            files = {} if folder is None else _list_all(folder)
            for name in sorted(files, key=lambda name: -files[name].st_mtime):
                record = None if folder is None else self._read(folder, name, is_use=False)
                if record is not None:
                    yield record

    @contextmanager
    def _opened(self) -> Iterator[int | None]:
        """Give a descriptor of the folder, which is then the same to the end; None where it is refused."""
        folder = self._open()
        try:
            yield folder
        finally:
            if folder is not None:
                os.close(folder)

    def _open(self) -> int | None:
        refusal = find_refusal(self.folder)
        if refusal is not None:
            self.ignored.append((self.folder, refusal))
            return None
        try:
            return os.open(self.folder, _FOLDER)
        except (FileNotFoundError, NotADirectoryError):
            if self.folder.is_symlink():
                self.ignored.append((self.folder, "it is a symbolic link"))
        except OSError as error:
            self.ignored.append((self.folder, error.strerror or str(error)))
        return None

    def _read(self, folder: int, name: str, *, is_use: bool) -> Record | None:
        try:
            descriptor = os.open(name, _READ, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            is_link = error.errno == errno.ELOOP
            self._ignore(name, "it is a symbolic link" if is_link else str(error.strerror))
            return None
        try:
            return _load(descriptor, name, is_use=is_use)
        except IgnoredError as error:
            self._ignore(name, str(error))
        except OSError as error:
            self._ignore(name, str(error.strerror))
        finally:
            os.close(descriptor)
        return None

    def _ignore(self, name: str, reason: str) -> None:
        self.ignored.append((self.folder / name, reason))


def read_record(folder: Path, key: str) -> dict[str, object] | None:
    """Return the record of ``key`` in ``folder``; see `Store.read`."""
    return Store(folder).read(key)


def write_record(folder: Path, key: str, data: dict[str, object]) -> None:
    """Write ``data`` as the record of ``key`` in ``folder``; see `Store.write`."""
    Store(folder).write(key, data)


def list_records(folder: Path) -> Iterator[Record]:
    """Yield the records in ``folder``; see `Store.list`."""
    return Store(folder).list()


def remove_record(folder: Path, key: str) -> bool:
    """Remove the record of ``key`` in ``folder``; see `Store.remove`."""
    return Store(folder).remove(key)


def _file_name(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of a record")
    return f"{key}.json"


def _load(descriptor: int, name: str, *, is_use: bool) -> Record:
    status = os.fstat(descriptor)
    _check(status)
    with open(descriptor, "rb", closefd=False) as stream:
        record = _parse(name, stream.read(_LARGEST + 1), status)
    if is_use:
        _note_use(descriptor, status)
    return record


def _check(status: os.stat_result) -> None:
    """Raise `IgnoredError` on all that another user may have written, that may block or has no end."""
    refusal = find_file_refusal(status)
    if refusal is not None:
        raise IgnoredError(refusal)
    if status.st_size > _LARGEST:
        raise IgnoredError(f"it has more than {_LARGEST} bytes")


def _parse(name: str, content: bytes, status: os.stat_result) -> Record:
    key = name.removesuffix(".json")
    try:
        data = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise IgnoredError("it is no JSON") from error
    if not isinstance(data, dict) or data.get("key") != key:
        raise IgnoredError("it is no record of its name")
    # 1 == True: only the number is the version.
    if data.get("schema") != SCHEMA or data["schema"] is True:
        raise IgnoredError("it has another schema")
    return Record(key, data, len(content), status.st_mtime)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _note_use(descriptor: int, status: os.stat_result) -> None:
    # A time in the future, by a clock that was wrong, would keep the record for ever.
    if abs(time.time() - status.st_mtime) > _DAY:
        with suppress(OSError):
            os.utime(descriptor)


def _replace(folder: int, key: str, name: str, content: bytes) -> None:
    check_size(len(content))
    temporary = f".{key}.{name_machine()}-{os.getpid()}-{next(_counter)}.tmp"
    descriptor = os.open(temporary, _WRITE, 0o600, dir_fd=folder)
    try:
        # Closing may fail, too, where a disk is full or a server is away.
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor
            stream.write(content)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _tidy(folder: int, *, keep: str) -> None:
    """Remove the oldest records beyond the limits, and what writers that ended too early left."""
    with suppress(OSError):
        own = _list_own(folder)
        # What was written just now tells the time of the file system, whatever this machine's clock says.
        _remove_all(folder, _find_unfinished(folder, own[keep].st_mtime if keep in own else time.time()))
        newest = sorted(own, key=lambda name: (name != keep, -own[name].st_mtime))
        sizes = itertools.accumulate(own[name].st_size for name in newest)
        places = zip(newest, sizes, itertools.count(1), strict=False)
        _remove_all(folder, [name for name, size, n in places if n > _MOST or size > _MOST_BYTES])


def _remove_all(folder: int, names: list[str]) -> None:
    for name in names:
        with suppress(FileNotFoundError):  # another process was quicker
            os.unlink(name, dir_fd=folder)


def _list_own(folder: int) -> dict[str, os.stat_result]:
    """Return the regular files of this user that have the name of a record."""
    return {name: status for name, status in _list_all(folder).items() if _is_own(status)}


def _list_all(folder: int) -> dict[str, os.stat_result]:
    return _scan(folder, _FILE)


def _find_unfinished(folder: int, now: float) -> list[str]:
    """Return the files of writers that have ended, and of those elsewhere that are a day old."""
    files = _scan(folder, _UNFINISHED)
    return [n for n, status in files.items() if _is_own(status) and _is_left(n, now - status.st_mtime)]


def _is_left(name: str, age: float) -> bool:
    writer = _UNFINISHED.fullmatch(name)
    return age > _DAY or (writer is not None and has_ended(writer[1], int(writer[2])))


def _scan(folder: int, pattern: re.Pattern[str]) -> dict[str, os.stat_result]:
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name):
                with suppress(FileNotFoundError):
                    found[entry.name] = entry.stat(follow_symlinks=False)
    return found


def _is_own(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
