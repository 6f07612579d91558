"""Where autoxla keeps what it may lose."""

from __future__ import annotations

import _thread
import errno
import os
import stat
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from autoxla.facts import NO_ANSWER

#: Seconds for which the file system of the cache may hold a process up, once and for all.
PATIENCE = 2.0
#: Seconds for which an answer holds.
_FRESH = 1.0
# Opening, since a look at a network file system may be answered from memory when its server is gone.
_LOOK = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC


def cache_folder(environ: Mapping[str, str]) -> Path:
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

    def __init__(self) -> None:
        self.is_over = False
        self._answered: dict[Path, float] = {}

    def ask(self, folder: Path) -> bool:
        """Return whether the file system of ``folder`` answers; one that did some seconds ago does."""
        if self.is_over:
            return False
        if time.monotonic() - self._answered.get(folder, -_FRESH) < _FRESH:
            return True
        try:
            answers = _answers(folder)
        except RuntimeError:  # no thread can be had, as at the end of the interpreter
            return folder in self._answered
        self.is_over = not answers
        self._answered[folder] = time.monotonic()
        return answers


def _answers(folder: Path) -> bool:
    reply = _thread.allocate_lock()
    reply.acquire()

    def look() -> None:
        try:
            os.close(os.open(folder, _LOOK))
        except Exception:  # noqa: BLE001 - an answer, too, and nothing may be said from this thread
            return
        finally:
            reply.release()

    _thread.start_new_thread(look, ())
    return reply.acquire(timeout=PATIENCE)


_patience = Patience()


def answers(folder: Path) -> bool:
    """Return whether the file system of ``folder`` answers, in at most `PATIENCE` for the whole process.

    To be asked before ``folder`` is touched: a call to a server that is away may never come back.
    """
    return _patience.ask(folder)


def find_refusal(folder: Path) -> str | None:
    """Return why what is kept in ``folder`` cannot be trusted, None where it can or is not there.

    Others may not be able to write in it, nor to put another in its place: what lies in it decides
    how programs run. Nor may it keep a program waiting.
    """
    if not answers(folder):
        return f"{folder} {NO_ANSWER}"
    for path in (folder, folder.parent):
        reason = _why_open_to_others(path, is_parent=path != folder)
        if reason is not None:
            return f"{path} {reason}"
    return None


def find_file_refusal(status: os.stat_result) -> str | None:
    """Return why the file of ``status`` cannot be trusted, None where it can.

    Another user may have written it, or it may block or have no end.
    """
    if not stat.S_ISREG(status.st_mode):
        return "it is no regular file"
    if status.st_uid != os.geteuid():
        return "it belongs to another user"
    is_open = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return "it can be written by other users" if is_open else None


def make_folder(folder: Path) -> None:
    """Make ``folder`` and what is missing above it, for this user alone. Raises OSError.

    Not even looked at where its file system does not answer.
    """
    if not answers(folder):
        raise TimeoutError(errno.ETIMEDOUT, NO_ANSWER, str(folder))
    _make(folder)


def _make(folder: Path) -> None:
    if not folder.parent.is_dir():
        _make(folder.parent)
    # Not by its own parents=True, which gives those that it makes the mode of the umask.
    folder.mkdir(mode=0o700, exist_ok=True)


def check_size(size: int) -> None:
    """Raise OSError where this process may not write a file of ``size`` bytes.

    The kernel would not only refuse that: unless the process ignores its signal, it ends the process.
    """
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit != resource.RLIM_INFINITY and size > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))


def _why_open_to_others(path: Path, *, is_parent: bool) -> str | None:
    try:
        status = path.stat()
    except OSError:
        return None
    if not stat.S_ISDIR(status.st_mode):
        return None
    # The root user may own what is above, as /tmp or a home's parent.
    if status.st_uid != os.geteuid() and not (is_parent and status.st_uid == 0):
        return "belongs to another user"
    is_open = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
    return "can be written by other users" if is_open else None
