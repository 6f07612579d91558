"""Work beside training: a thread for Python, and the memory that work may use."""

from __future__ import annotations

import atexit
import resource
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
#: The seconds that the end of the program waits for such work: a disk may hang.
_LONGEST = 5.0


def begin_beside(work: Callable[[], T]) -> Future[T]:
    """Begin with ``work`` in a thread; return where its result, or its exception, will be.

    The end of the program waits for it: a thread that comes back to Python while the interpreter ends is
    ended, too, and C++ code that it came through takes that for a crash. So it is not for what runs for
    long; see `autoxla.trial.executables.Dispatch` for that.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:  # noqa: BLE001 - whoever asked for the work is told
            outcome.set_exception(error)
        atexit.unregister(wait)

    thread = threading.Thread(target=run, name="autoxla-trial", daemon=True)
    wait = partial(thread.join, _LONGEST)
    atexit.register(wait)
    thread.start()
    return outcome


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
