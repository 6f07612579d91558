"""The cache folder: where it lies, whether it can be trusted, and what records are called in it.

Beside it `autoxla.store` reads and writes the records; a start loads that where there is one to read.
"""

from __future__ import annotations

import _thread
import errno
import hashlib
import json
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autoxla.model import NO_ANSWER, Reading
from autoxla.situation.files import read_start

if TYPE_CHECKING:
    from autoxla.running import Subject

#: Seconds for which the file system of the cache may hold a process up, once and for all.
PATIENCE = 2.0
_LARGEST_SOURCE = 1 << 22  # bytes of a source file; what is beyond is not hashed


def cache_dir(environ: Mapping[str, str]) -> Path:
    """Return the folder for caches: ``AUTOXLA_CACHE``, else the platform's; it need not exist.

    By hand, since the library for it takes longer to load than a cached look-ahead to read.
    """
    chosen = environ.get("AUTOXLA_CACHE")
    if chosen:
        return Path(chosen)
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - it raises nothing
    if not home.is_absolute():  # a user without an entry, as in containers
        return Path(environ.get("TMPDIR") or "/tmp") / f"autoxla-{os.geteuid()}"  # noqa: S108 - see find_refusal
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "autoxla"
    # An empty or relative XDG_CACHE_HOME counts as unset, by the XDG base directory specification.
    base = Path(environ.get("XDG_CACHE_HOME") or "-")
    return (base if base.is_absolute() else home / ".cache") / "autoxla"


class Patience:
    """Asks file systems whether they answer, in threads that nobody waits for longer than `PATIENCE`.

    One that does not ends the patience of this process: from then on no answer is waited for. Its
    thread stays where it is, in a call of the system, and ends with the process.
    """

    is_over = False

    def ask(self, folder: Path) -> bool:
        """Return whether the file system of ``folder`` answers, in at most `PATIENCE` for the whole process.

        To be asked before ``folder`` is touched: a call to a server that is away may never come back.
        """
        if not self.is_over:
            try:
                self.is_over = not self.wait_for(folder)
            except RuntimeError:  # no thread can be had, as at the end of the interpreter
                return True
        return not self.is_over

    def wait_for(self, folder: Path) -> bool:
        """Open ``folder`` in a thread; return whether that came back in time, whatever it found."""
        reply = _thread.allocate_lock()
        reply.acquire()

        def look() -> None:
            # Opening, since a look may be answered from memory when the server of a file system is gone.
            try:
                os.close(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC))
            except Exception:  # noqa: BLE001 - an answer, too, and nothing may be said from this thread
                return
            finally:
                reply.release()

        _thread.start_new_thread(look, ())
        return reply.acquire(timeout=PATIENCE)


#: Asks for the whole process.
answers = Patience().ask


def find_refusal(folder: Path) -> str | None:
    """Return why what is kept in ``folder`` cannot be trusted, None where it can or is not there.

    Others may not be able to write in it, nor to put another in its place: what lies in it decides
    how programs run. Nor may it keep a program waiting.
    """
    if not answers(folder):
        return f"{folder} {NO_ANSWER}"
    for path in (folder, folder.parent):
        try:
            status = path.stat()
        except OSError:
            continue
        if not stat.S_ISDIR(status.st_mode):
            continue
        # The root user may own what is above, as /tmp or a home's parent.
        if status.st_uid != os.geteuid() and not (path != folder and status.st_uid == 0):
            return f"{path} belongs to another user"
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX:
            return f"{path} can be written by other users"
    return None


def make_folder(folder: Path) -> None:
    """Make ``folder`` and what is missing above it, for this user alone. Raises OSError.

    Not even looked at where its file system does not answer.
    """
    if not answers(folder):
        raise TimeoutError(errno.ETIMEDOUT, NO_ANSWER, str(folder))
    missing = [path for path in (folder, *folder.parents) if not path.is_dir()]
    for path in reversed(missing):
        # Not by its own parents=True, which gives those that it makes the mode of the umask.
        path.mkdir(mode=0o700, exist_ok=True)


# --- Records


def has_record(folder: Path, key: str) -> bool:
    """Return whether something stands in the place of the record of ``key``."""
    return answers(folder) and os.path.lexists(folder / f"{key}.json")


def has_records(folder: Path) -> bool:
    """Return whether anything is in the folder of a kind of records."""
    try:
        return answers(folder) and any(os.scandir(folder))
    except OSError:
        return False


def make_key(*facts: object) -> str:
    """Return a key that stands for ``facts``, which JSON has words for."""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def key_of(subject: Subject) -> str | None:
    """Return the key of a program, None for one that no later run can be known by: a notebook's cells."""
    program = subject.program
    if program is None or program.kind == "cells":
        return None
    if program.kind == "code":
        return make_key("code", program.target)
    if program.kind == "module":
        # One that is installed is the same wherever it is started.
        folder = "" if program.installed else os.path.realpath(subject.folder)
        return make_key("module", program.target, folder)
    return make_key("file", os.path.realpath(program.target))


def program_key(reading: Reading, arguments: Sequence[str]) -> str | None:
    """Return a hash over arguments, paths and contents, None where a file is missing."""
    if not reading.files:
        return None
    hashed = hashlib.sha256(repr(list(arguments)).encode("utf-8", "surrogateescape"))
    for file in reading.files:
        content = read_start(file, _LARGEST_SOURCE)
        if content is None:
            return None
        hashed.update(b"%d %s %d\0" % (len(file), file.encode("utf-8", "surrogateescape"), len(content)))
        hashed.update(content)
    return hashed.hexdigest()[:32]
