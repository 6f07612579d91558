"""Work beside training: a daemon thread for Python, and the memory that work may use.

What runs for long in TensorFlow's own code must not run in such a thread: a thread that comes back to
Python while the interpreter ends is ended, too, and C++ code that it came through takes that for a
crash. See `autoxla.trial.executables.Dispatch` for that.
"""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """One piece of work in a thread. `done` turns True when `result` or `error` is there."""

    result: T | None
    error: Exception | None

    def __init__(self, work: Callable[[], T]) -> None:
        self.done = False
        self.result = None
        self.error = None
        self._work = work
        self._thread = threading.Thread(target=self._run, name="autoxla-trial", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until the work is done, but no longer than ``seconds``."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self.result = self._work()
        except Exception as error:  # noqa: BLE001 - whoever asked for the work is told
            self.error = error
        self.done = True


def free_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes that this process may still take, None where that is not known.

    By ``/proc/meminfo``, the control group and the limit on addresses, of which the smallest counts.
    """
    groups = root / "sys" / "fs" / "cgroup"
    limit, used = _number(groups / "memory.max"), _number(groups / "memory.current")
    in_group = None if limit is None or used is None else limit - used
    free = [_available(root), in_group, _addresses_left(root)]
    known = [number for number in free if number is not None]
    return min(known) if known else None


def _available(root: Path) -> int | None:
    try:
        lines = (root / "proc" / "meminfo").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    for line in lines:
        name, _, rest = line.partition(":")
        if name == "MemAvailable" and rest.split()[:1] and rest.split()[0].isdecimal():
            return int(rest.split()[0]) * 1024
    return None


def _addresses_left(root: Path) -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        pages = int((root / "proc" / "self" / "statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    # Stacks and arenas of threads reserve several times what they use.
    return (limit - pages * resource.getpagesize()) // 4


def _number(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdecimal() else None
