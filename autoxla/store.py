"""What is kept from one run to the next: one small JSON file a key, in `autoxla.cache`'s folder.

Two kinds of files are kept with `Store`: decisions of trials (`autoxla.trial.decisions`), and facts of
programs: what tuning found for one (`autoxla.tuned`) and what cures it (`autoxla.cures`). All of it may be
lost at any time.

What is read is trusted for nothing but being JSON: who asks checks every part of it. Many processes may
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
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from autoxla.cache import find_refusal, make_folder

#: Version of the layout; a record of another one is no record.
SCHEMA = 1
DAY = 86_400.0  # seconds: how often a use is noted, and how long an unfinished file may lie
_KEY = re.compile(r"[0-9a-f]{16,64}")
_FILE = re.compile(r"([0-9a-f]{16,64})\.json")
_UNFINISHED = re.compile(r"\.[0-9a-f]{16,64}\.([0-9a-f]{8})-(\d{1,10})-\d+\.tmp")
# O_NONBLOCK: a pipe in the place of a record must not hold the program up.
READ_ONLY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_counter = itertools.count()


def is_own(status: os.stat_result) -> bool:
    """Return whether ``status`` is that of a regular file of this user's."""
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()


def check_size(size: int) -> None:
    """Raise OSError where this process may not write a file of ``size`` bytes.

    The kernel would not only refuse that: unless the process ignores its signal, it ends the process.
    """
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit != resource.RLIM_INFINITY and size > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))


def name_machine() -> str:
    """Return what tells this machine, and the container in it, from others that share the folder."""
    name = os.uname().nodename
    with suppress(OSError):
        name = f"{name} {Path('/proc/self/ns/pid').readlink()}"
    return f"{zlib.crc32(name.encode('utf-8', 'surrogateescape')):08x}"


def has_ended(machine: str, process: int) -> bool:
    """Return whether the process of that number has ended, so that nobody finishes what it wrote.

    False for one on another machine.
    """
    if machine != name_machine():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False


# --- The files


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept under ``key``. `size` is in bytes, `used` in seconds since the epoch, to the day."""

    key: str
    data: dict[str, object]
    size: int
    used: float


class UntrustedError(Exception):
    """Something in the place of a record is not read, for the reason given."""


class Store:
    """The records in one folder, each of at most ``largest`` bytes.

    Beyond ``most`` records, or ``most_bytes`` of all, those leave that were not used for the longest time.
    `ignored` names what was there and not read, each with the reason.
    """

    def __init__(
        self, folder: Path, *, largest: int = 1 << 18, most: int = 512, most_bytes: int = 1 << 24
    ) -> None:
        self.folder = folder
        self.ignored: list[tuple[Path, str]] = []
        self._largest, self._most, self._most_bytes = largest, most, most_bytes

    def read(self, key: str) -> dict[str, object] | None:
        """Return the record of ``key``, None where there is none that can be read; note its use.

        Raises ValueError where ``key`` is none.
        """
        name = _file_name(key)
        with self._opened() as folder:
            record = None if folder is None else self._read(folder, name, is_use=True)
        return None if record is None else record.data

    def write(self, key: str, data: Mapping[str, object]) -> None:
        """Write ``data`` as the record of ``key``.

        Raises OSError where the folder cannot be written, cannot be trusted, or the record is too
        large; ValueError or TypeError where JSON has no word for ``data`` (NaN is none).
        """
        name = _file_name(key)
        fields = {**data, "schema": SCHEMA, "key": key}
        content = json.dumps(fields, allow_nan=False, separators=(",", ":")).encode()
        if len(content) > self._largest:
            raise OSError(errno.EFBIG, f"a record of {len(content)} bytes is too large", name)
        check_size(len(content))
        make_folder(self.folder)
        with self._opened() as folder:
            if folder is None:
                raise PermissionError(errno.EPERM, self.ignored[-1][1], str(self.folder))
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
            with suppress(OSError):
                self._tidy(folder, name)

    def remove(self, key: str) -> bool:
        """Remove the record of ``key``; return whether there was one. Raises ValueError, OSError."""
        name = _file_name(key)
        with self._opened() as folder:
            if folder is None or name not in _list_own(folder, _FILE):
                return False
            os.unlink(name, dir_fd=folder)
        return True

    def clear(self) -> int:
        """Remove all files of this user's that are named as records are; return how many. Raises OSError."""
        with self._opened() as folder:
            if folder is None:
                return 0
            names = list(_list_own(folder, _FILE))
            _remove(folder, [*names, *_list_own(folder, _UNFINISHED)])
        return len(names)

    def list(self) -> Iterator[Record]:
        """Yield the records, those used last first."""
        with self._opened() as folder:
            files = {} if folder is None else _scan(folder, _FILE)
            for name in sorted(files, key=lambda name: -files[name].st_mtime):
                record = None if folder is None else self._read(folder, name, is_use=False)
                if record is not None:
                    yield record

    @contextmanager
    def _opened(self) -> Iterator[int | None]:
        """Give a descriptor of the folder, which is then the same to the end; None where it is refused."""
        folder = None
        # Who can replace the cache folder can replace this one with it.
        refusal = find_refusal(self.folder) or find_refusal(self.folder.parent)
        if refusal is None:
            try:
                folder = os.open(self.folder, _FOLDER)
            except (FileNotFoundError, NotADirectoryError):
                refusal = "it is a symbolic link" if self.folder.is_symlink() else None
            except OSError as error:
                refusal = error.strerror or str(error)
        if refusal is not None:
            self.ignored.append((self.folder, refusal))
        try:
            yield folder
        finally:
            if folder is not None:
                os.close(folder)

    def _read(self, folder: int, name: str, *, is_use: bool) -> Record | None:
        """Return the record in a file; None where there is none, or one that is noted in `ignored`."""
        descriptor = None
        try:
            descriptor = os.open(name, READ_ONLY, dir_fd=folder)
            return _load(descriptor, name, self._largest, is_use=is_use)
        except FileNotFoundError:
            return None
        except UntrustedError as error:
            reason = str(error)
        except OSError as error:
            reason = "it is a symbolic link" if error.errno == errno.ELOOP else str(error.strerror)
        finally:
            if descriptor is not None:
                os.close(descriptor)
        self.ignored.append((self.folder / name, reason))
        return None

    def _tidy(self, folder: int, written: str) -> None:
        """Remove the oldest records beyond the limits, and what writers that ended too early left."""
        own = _list_own(folder, _FILE)
        newest = sorted(own, key=lambda name: (name != written, -own[name].st_mtime))
        sizes = itertools.accumulate(own[name].st_size for name in newest)
        counted = zip(newest, sizes, itertools.count(1), strict=False)
        leaving = [name for name, size, n in counted if n > self._most or size > self._most_bytes]
        # What was written just now tells the time of the file system, whatever this machine's clock says.
        now = own[written].st_mtime if written in own else time.time()
        for name, status in _list_own(folder, _UNFINISHED).items():
            writer = _UNFINISHED.fullmatch(name)
            is_dead = writer is not None and has_ended(writer[1], int(writer[2]))
            if is_dead or now - status.st_mtime > DAY:
                leaving.append(name)
        _remove(folder, leaving)


def _file_name(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of a record")
    return f"{key}.json"


def _load(descriptor: int, name: str, largest: int, *, is_use: bool) -> Record:
    """Return the record in an open file. Raises `UntrustedError` on what is none, OSError."""
    # Another user may have written it, or it may block or have no end.
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise UntrustedError("it is no regular file")
    if not is_own(status):
        raise UntrustedError("it belongs to another user")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UntrustedError("it can be written by other users")
    if status.st_size > largest:
        raise UntrustedError(f"it has more than {largest} bytes")
    with open(descriptor, "rb", closefd=False) as stream:
        content = stream.read(largest + 1)
    try:
        data = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UntrustedError("it is no JSON") from error
    key = name.removesuffix(".json")
    if not isinstance(data, dict) or data.get("key") != key:
        raise UntrustedError("it is no record of its name")
    # 1 == True: only the number is the version.
    if data.get("schema") != SCHEMA or data["schema"] is True:
        raise UntrustedError("it has another schema")
    # A time in the future, by a clock that was wrong, would keep the record for ever.
    if is_use and abs(time.time() - status.st_mtime) > DAY:
        with suppress(OSError):
            os.utime(descriptor)
    return Record(key, data, len(content), status.st_mtime)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _scan(folder: int, pattern: re.Pattern[str]) -> dict[str, os.stat_result]:
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name):
                with suppress(FileNotFoundError):
                    found[entry.name] = entry.stat(follow_symlinks=False)
    return found


def _list_own(folder: int, pattern: re.Pattern[str]) -> dict[str, os.stat_result]:
    return {name: status for name, status in _scan(folder, pattern).items() if is_own(status)}


def _remove(folder: int, names: Iterable[str]) -> None:
    for name in names:
        with suppress(FileNotFoundError):  # another process was quicker
            os.unlink(name, dir_fd=folder)
