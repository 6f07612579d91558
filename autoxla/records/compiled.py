"""What XLA compiled, kept for the next process: entries of TensorFlow's persistent compilation cache.

An entry is native code, a damaged one ends the process that loads it, and TensorFlow writes it in place.
So no two processes share a folder: each is given one of its own, filled with hard links to entries whose
content was verified, and what is new in it is taken over at the end of the run. An entry's file name in
the store ends in the SHA-256 of its content: one rename makes it known with its digest or not at all, and
what a killed process left is never looked at.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import time
from contextlib import suppress
from pathlib import Path

from autoxla.facts import NO_ANSWER
from autoxla.places import answers, check_size, find_refusal, make_folder
from autoxla.records.processes import has_ended, name_machine

_ENTRY = re.compile(r"([\w.-]{1,180}\.pb)\.([0-9a-f]{64})")
_NEW = re.compile(r"[\w.-]{1,180}\.pb")
_RUN = re.compile(r"run-([0-9a-f]{8})-([0-9]{1,10})")
_LARGEST = 1 << 26  # bytes of one entry
_MOST_BYTES = 1 << 28  # of all entries; each is read at each start
_LIFE = 30 * 86_400.0  # seconds for which the folder of a process on another machine is left alone
_DAY = 86_400.0
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FIELDS = {1, 2, 3}  # of an entry: its key, the module, the executable


def run_folder(store: Path) -> Path:
    """Return the folder in which this process is to let TensorFlow read and write; it need not exist."""
    return store / f"run-{name_machine()}-{os.getpid()}"


def prepare(folder: Path) -> list[str]:
    """Make ``folder``, see `run_folder`, with the verified entries of its store in it.

    Returns the names of the entries that were dropped because they are not what their digest says.
    Raises OSError where the folder cannot be made or the store cannot be trusted.
    """
    store = folder.parent
    make_folder(store)
    refusal = find_refusal(store)
    if refusal is not None:
        raise PermissionError(refusal)
    # Of a process that had this number before, or of this one before it executed itself anew.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    # The file system's time, since this machine's clock may be wrong.
    _remove_dead_runs(store, folder.stat().st_mtime)
    return [file.name for file in sorted(store.iterdir()) if not _offer(file, folder)]


def keep(folder: Path) -> int:
    """Take what is new in ``folder`` over into its store and remove it; return how many entries.

    A forked child must not do so for its parent. Raises OSError where that cannot be.
    """
    if folder != run_folder(folder.parent):
        return 0
    if not answers(folder.parent):
        raise TimeoutError(errno.ETIMEDOUT, NO_ANSWER, str(folder))
    kept = 0
    for file in sorted(folder.iterdir()):
        content = _read(file) if _NEW.fullmatch(file.name) else None
        # Two links: one that this process was given. Half an entry, which a thread was writing: none.
        if content is not None and file.stat().st_nlink == 1 and is_whole(content):
            file.replace(folder.parent / f"{file.name}.{hashlib.sha256(content).hexdigest()}")
            kept += 1
    shutil.rmtree(folder, ignore_errors=True)
    _drop_oldest(folder.parent.parent)
    return kept


def is_whole(content: bytes) -> bool:
    """Tell whether ``content`` is an entry from its first to its last byte, by the lengths of its fields."""
    at, seen = 0, set()
    try:
        while at < len(content):
            tag, at = _read_number(content, at)
            length, at = _read_number(content, at)
            if tag & 7 != 2:  # not a field with a length
                return False
            seen.add(tag >> 3)
            at += length
    except IndexError:
        return False
    return at == len(content) and seen == _FIELDS


def _read_number(content: bytes, at: int) -> tuple[int, int]:
    """Return the base-128 number at ``at`` and where it ends. Raises IndexError at the end."""
    number = shift = 0
    while True:
        byte = content[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128 or shift > 63:
            return number, at


def _offer(file: Path, folder: Path) -> bool:
    """Put a verified entry into ``folder``; return False where it was dropped from the store."""
    name = _ENTRY.fullmatch(file.name)
    if name is None:
        return True
    content = _read(file)
    if content is None or hashlib.sha256(content).hexdigest() != name[2]:
        with suppress(OSError):
            file.unlink(missing_ok=True)
        return False
    _note_use(file)
    target = folder / name[1]
    with suppress(FileExistsError):  # two runs compiled it at once, with other bytes
        _link(file, target, content)
    return True


def _link(file: Path, target: Path, content: bytes) -> None:
    try:
        os.link(file, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        check_size(len(content))
        with target.open("xb") as stream:
            stream.write(content)


def _read(file: Path) -> bytes | None:
    """Return the content of a regular file of this user's own, None for anything else."""
    try:
        descriptor = os.open(file, _READ)
    except OSError:
        return None
    try:
        with open(descriptor, "rb", closefd=False) as stream:
            return stream.read(_LARGEST) if _is_ours(os.fstat(descriptor)) else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _is_ours(status: os.stat_result) -> bool:
    # Not its mode, which is TensorFlow's by the umask: the folder keeps others out.
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_size <= _LARGEST


def _note_use(file: Path) -> None:
    with suppress(OSError):
        if abs(time.time() - file.stat().st_mtime) > _DAY:
            os.utime(file)


def _remove_dead_runs(store: Path, now: float) -> None:
    for folder in store.glob("run-*"):
        name = _RUN.fullmatch(folder.name)
        if name is not None and _is_left(folder, name[1], int(name[2]), now):
            shutil.rmtree(folder, ignore_errors=True)


def _is_left(folder: Path, machine: str, process: int, now: float) -> bool:
    if machine == name_machine():
        return has_ended(machine, process)
    with suppress(OSError):
        return now - folder.stat().st_mtime >= _LIFE
    return False


def _drop_oldest(folder: Path) -> None:
    """Remove the entries that were used longest ago, of all releases together, beyond the limit."""
    entries = []
    for file in folder.glob("*/*.pb.*"):
        with suppress(OSError):
            status = file.lstat()
            entries.append((status.st_mtime, status.st_size, file))
    total = 0
    for _, size, file in sorted(entries, reverse=True):
        total += size
        if total > _MOST_BYTES and _ENTRY.fullmatch(file.name):
            file.unlink(missing_ok=True)


def clear(top: Path) -> int:
    """Remove all entries below ``top`` that no process uses; return how many. Other files stay."""
    removed = 0
    for store in top.glob("*/") if find_refusal(top) is None else ():
        _remove_dead_runs(store, time.time())
        for file in store.glob("*.pb.*"):
            if _ENTRY.fullmatch(file.name) and stat.S_ISREG(file.lstat().st_mode):
                file.unlink(missing_ok=True)
                removed += 1
    return removed
