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
        threading.Thread(target=self._run, name="autoxla-trial", daemon=True).start()

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
    known = []
    for line in _read(root / "proc" / "meminfo").splitlines():
        words = line.split()
        if words[:1] == ["MemAvailable:"] and words[1:2] and words[1].isdecimal():
            known.append(int(words[1]) * 1024)
    groups = root / "sys" / "fs" / "cgroup"
    limit, used = _read(groups / "memory.max").strip(), _read(groups / "memory.current").strip()
    if limit.isdecimal() and used.isdecimal():
        known.append(int(limit) - int(used))
    addresses, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _read(root / "proc" / "self" / "statm").split()
    if addresses != resource.RLIM_INFINITY and pages:
        # Stacks and arenas of threads reserve several times what they use.
        known.append((addresses - int(pages[0]) * resource.getpagesize()) // 4)
    return min(known) if known else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
