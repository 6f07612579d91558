"""Mounts in trouble, for those who may make them: full, read-only, and one that never answers."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FUSE = Path("/dev/fuse")
_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def are_possible() -> bool:
    """Tell whether this process may mount; containers often may not."""
    return os.geteuid() == 0 and _can_mount()


def _can_mount() -> bool:
    words = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(words, capture_output=True, timeout=30, check=False).returncode == 0
    except OSError:
        return False


@contextmanager
def small(folder: Path, size: str) -> Iterator[Path]:
    """Give a tmpfs of ``size`` at ``folder``, to which this user may write until it is full."""
    _mount("none", folder, "tmpfs", 0, f"size={size},mode=0700")
    try:
        yield folder
    finally:
        _unmount(folder)


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """Make ``folder`` a mount of itself that is read-only, for root too."""
    _mount(str(folder), folder, None, 4096, None)  # MS_BIND
    _mount(str(folder), folder, None, 4096 | 32 | 1, None)  # MS_REMOUNT | MS_RDONLY
    try:
        yield folder
    finally:
        _unmount(folder)


@contextmanager
def silent(folder: Path) -> Iterator[Path]:
    """Mount a FUSE file system that nobody serves: the kernel waits for its answer for ever."""
    server = os.open(_FUSE, os.O_RDWR | os.O_CLOEXEC)
    try:
        options = f"fd={server},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
        _mount("silent", folder, "fuse", 0, options)
        try:
            yield folder
        finally:
            _unmount(folder)
    finally:
        os.close(server)  # whoever still waits is told that nobody is there


def can_be_silent() -> bool:
    """Tell whether there is FUSE to make such a mount by."""
    return os.access(_FUSE, os.R_OK | os.W_OK) and are_possible()


def _mount(source: str, target: Path, kind: str | None, flags: int, options: str | None) -> None:
    texts = [None if text is None else text.encode() for text in (kind, options)]
    if _libc.mount(source.encode(), os.fsencode(target), texts[0], flags, texts[1]):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), str(target))


def _unmount(target: Path) -> None:
    _libc.umount2(os.fsencode(target), _DETACH)
