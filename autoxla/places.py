"""Where autoxla keeps what it may lose."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path


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


def find_refusal(folder: Path) -> str | None:
    """Return why what is kept in ``folder`` cannot be trusted, None where it can or is not there.

    Others may not be able to write in it, nor to put another in its place: what lies in it decides
    how programs run.
    """
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
    """Make ``folder`` and what is missing above it, for this user alone. Raises OSError."""
    if not folder.parent.is_dir():
        make_folder(folder.parent)
    # Not by its own parents=True, which gives those that it makes the mode of the umask.
    folder.mkdir(mode=0o700, exist_ok=True)


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
