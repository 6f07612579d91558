"""Which of the processes that run parts of one program speaks for them all.

Workers of a pool plan each for itself where the program imports a backend only in them. The first
one speaks; that it did is one line, the parent's number and start, in a file that they share.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from autoxla.places import check_size, find_refusal, make_folder
from autoxla.situation.workers import runs_parts

_FILE = "spoken"
_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: How often, and after how many seconds, to ask again for the file: a sibling holds it for less.
_TRIES, _PAUSE = 20, 0.005


def is_part(environ: Mapping[str, str]) -> bool:
    """Return whether this process is a worker of multiprocessing, loky, Ray or pytest-xdist."""
    if runs_parts(sys.orig_argv):
        return True
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and processes.parent_process() is not None:
        return True
    # What a test starts inherits the variable, but not the module through which the worker is led.
    return "PYTEST_XDIST_WORKER" in environ and "execnet" in sys.modules


def is_later(folder: Path) -> bool:
    """Return whether another child of this process' parent has spoken; if none has, note that one does.

    False where ``folder`` cannot be written: a line too many is better than none.
    """
    parent = os.getppid()
    key = f"{parent} {_start_of(parent)}"
    try:
        make_folder(folder)
        if find_refusal(folder) is not None:
            return False
        descriptor = os.open(folder / _FILE, _OPEN, 0o600)
        with os.fdopen(descriptor, "r+", encoding="ascii", errors="replace") as file:
            return _lock(file) and _is_noted(file, key)
    except OSError:
        return False


def _is_noted(file: TextIO, key: str) -> bool:
    file.seek(0)
    entries = file.read().splitlines()
    if key in entries:
        return True
    text = "".join(f"{entry}\n" for entry in [*filter(_lives, entries), key])
    check_size(len(text))
    file.seek(0)
    file.truncate()
    file.write(text)
    return False


def _lock(file: TextIO) -> bool:
    return any(_try_lock(file) for _ in range(_TRIES))


def _try_lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(_PAUSE)
        return False
    return True


def _lives(entry: str) -> bool:
    number, _, start = entry.partition(" ")
    return number.isdigit() and bool(start) and _start_of(int(number)) == start


def _start_of(number: int) -> str | None:
    """Return what tells a process from a later one of the same number, None where it has ended."""
    try:
        os.kill(number, 0)
        # Field 22, in ticks since the system's start; the name in field 2 may hold anything.
        return Path(f"/proc/{number}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (ProcessLookupError, OverflowError):
        return None
    except (OSError, IndexError):
        return "0"  # another user's, or a system without /proc
