"""What is kept from one run to the next: one small JSON file a key, in `autoxla.cache`'s folder.

Three kinds of files are kept with `Store`: decisions of trials (`autoxla.trial.decisions`), what is read of
programs' sources (`autoxla.lookahead.kept`), and facts of programs: what tuning found for one
(`autoxla.tuned`) and what cures it (`autoxla.cures`). All of it may be lost at any time.

What is read is trusted for nothing but being JSON: who asks checks every part of it. Many processes may
write one key at once, also on a network file system: each writes a file of its own and renames it, so
the last one stands and no lock is needed.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import time
import zlib
from _thread import get_ident
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoxla.cache import find_refusal, make_folder

#: Version of the layout; a record of another one is no record.
_SCHEMA = 1
DAY = 86_400.0  # seconds: how often a use is noted, and how long an unfinished file may lie
_KEY = re.compile(r"[0-9a-f]{16,64}")
_FILE = re.compile(rf"{_KEY.pattern}\.json")
_UNFINISHED = re.compile(rf"\.{_FILE.pattern}\.([0-9a-f]{{8}})-(\d{{1,10}})-\d+\.tmp")


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


def write_whole(file: Path, content: bytes, mode: int | None = None) -> None:
    """Write ``content`` to ``file``, whole or not at all; ``mode`` are its permissions. Raises OSError."""
    temporary = file.with_name(f".{file.name}.{name_machine()}-{os.getpid()}-{get_ident()}.tmp")
    # A new file: a link that another user put there, to aim it elsewhere, is not followed.
    temporary.unlink(missing_ok=True)
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


class UntrustedError(Exception):
    """A file is not read, for the reason given."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept under ``key``. `size` is in bytes, `used` in seconds since the epoch, to the day."""

    key: str
    data: dict[str, object]
    size: int
    used: float


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
        file = self._file(key)
        record = self._read(file) if self._is_trusted() else None
        if record is None:
            return None
        # A time in the future, by a clock that was wrong, would keep the record for ever.
        if abs(time.time() - record.used) > DAY:
            with suppress(OSError):
                os.utime(file)
        return record.data

    def write(self, key: str, data: Mapping[str, object]) -> None:
        """Write ``data`` as the record of ``key``.

        Raises OSError where the folder cannot be written, cannot be trusted, or the record is too
        large; ValueError or TypeError where JSON has no word for ``data`` (NaN is none).
        """
        file = self._file(key)
        fields = {**data, "schema": _SCHEMA, "key": key}
        content = json.dumps(fields, allow_nan=False, separators=(",", ":")).encode()
        if len(content) > self._largest:
            raise OSError(errno.EFBIG, f"a record of {len(content)} bytes is too large", file.name)
        check_size(len(content))
        make_folder(self.folder)
        if not self._is_trusted():
            raise PermissionError(errno.EPERM, self.ignored[-1][1], str(self.folder))
        write_whole(file, content, 0o600)
        with suppress(OSError):
            self._tidy(file)

    def remove(self, key: str) -> bool:
        """Remove the record of ``key``; return whether there was one. Raises ValueError, OSError."""
        file = self._file(key)
        if not self._is_trusted() or file not in self._own(_FILE):
            return False
        file.unlink(missing_ok=True)
        return True

    def clear(self) -> int:
        """Remove all files of this user's that are named as records are; return how many. Raises OSError."""
        if not self._is_trusted():
            return 0
        records = self._own(_FILE)
        for file in (*records, *self._own(_UNFINISHED)):
            file.unlink(missing_ok=True)
        return len(records)

    def list(self) -> Iterator[Record]:
        """Yield the records, those used last first."""
        files = self._scan(_FILE) if self._is_trusted() else {}
        for file in sorted(files, key=lambda file: -files[file].st_mtime):
            record = self._read(file)
            if record is not None:
                yield record

    def _file(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no key of a record")
        return self.folder / f"{key}.json"

    def _is_trusted(self) -> bool:
        """Return whether there is a folder that nobody else writes; note why it is refused."""
        # Who can replace the cache folder can replace this one with it.
        refusal = find_refusal(self.folder) or find_refusal(self.folder.parent)
        if refusal is None and self.folder.is_symlink():
            refusal = "it is a symbolic link"
        if refusal is not None:
            self.ignored.append((self.folder, refusal))
        return refusal is None and self.folder.is_dir()

    def _read(self, file: Path) -> Record | None:
        """Return the record in ``file``; None where there is none, or one that is noted in `ignored`."""
        # O_NONBLOCK: a pipe in the place of a file must not hold the program up.
        how = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with open(file, "rb", opener=lambda path, _: os.open(path, how)) as stream:
                status = os.fstat(stream.fileno())
                reasons = (
                    (not stat.S_ISREG(status.st_mode), "it is no regular file"),
                    (status.st_uid != os.geteuid(), "it belongs to another user"),
                    (status.st_size > self._largest, f"it has more than {self._largest} bytes"),
                    (status.st_mode & (stat.S_IWGRP | stat.S_IWOTH), "it can be written by other users"),
                )
                for is_so, reason in reasons:
                    if is_so:
                        raise UntrustedError(reason)
                content = stream.read(self._largest)
            data = json.loads(content, parse_constant=_refuse_constant)
            if not isinstance(data, dict) or data.get("key") != file.stem:
                raise UntrustedError("it is no record of its name")
            if data.get("schema") != _SCHEMA:
                raise UntrustedError("it has another schema")
            return Record(file.stem, data, len(content), status.st_mtime)
        except FileNotFoundError:
            return None
        except UntrustedError as error:
            reason = str(error)
        except (ValueError, RecursionError):
            reason = "it is no JSON"
        except OSError as error:
            reason = str(error.strerror)
        self.ignored.append((file, reason))
        return None

    def _tidy(self, written: Path) -> None:
        """Remove the oldest records beyond the limits, and what writers that ended too early left."""
        own, total = self._own(_FILE), 0
        newest = sorted(own, key=lambda file: (file != written, -own[file].st_mtime))
        for number, file in enumerate(newest):
            total += own[file].st_size
            if number >= self._most or total > self._most_bytes:
                file.unlink(missing_ok=True)
        # What was written just now tells the time of the file system, whatever this machine's clock says.
        now = own[written].st_mtime if written in own else time.time()
        for file, status in self._own(_UNFINISHED).items():
            writer = _UNFINISHED.fullmatch(file.name)
            is_dead = writer is not None and has_ended(writer[1], int(writer[2]))
            if is_dead or now - status.st_mtime > DAY:
                file.unlink(missing_ok=True)

    def _scan(self, pattern: re.Pattern[str]) -> dict[Path, os.stat_result]:
        found = {}
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if pattern.fullmatch(entry.name):
                    with suppress(FileNotFoundError):  # another process was quicker
                        found[self.folder / entry.name] = entry.stat(follow_symlinks=False)
        return found

    def _own(self, pattern: re.Pattern[str]) -> dict[Path, os.stat_result]:
        """Return the regular files of this user's in the folder whose names match."""
        found = self._scan(pattern).items()
        return {f: s for f, s in found if stat.S_ISREG(s.st_mode) and s.st_uid == os.geteuid()}


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")
