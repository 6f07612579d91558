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
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from autoxla.cache import answers, find_refusal, make_folder
from autoxla.model import NO_ANSWER, Situation
from autoxla.situation.distributions import locate
from autoxla.situation.environment import APPLIED
from autoxla.situation.hardware import identity
from autoxla.store import DAY, UntrustedError, check_size, has_ended, name_machine, read_own

#: The variables that change the code and are part of no entry's name in TensorFlow's cache.
VARIABLES = ("XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS")
_ENTRY = re.compile(r"([\w.-]{1,180}\.pb)\.([0-9a-f]{64})")
_NEW = re.compile(r"[\w.-]{1,180}\.pb")
_RUN = re.compile(r"run-([0-9a-f]{8})-([0-9]{1,10})")
_LARGEST = 1 << 26  # bytes of one entry
_MOST_BYTES = 1 << 28  # of all entries; each is read at each start
_LIFE = 30 * DAY  # seconds for which the folder of a process on another machine is left alone
_FIELDS = {1, 2, 3}  # of an entry: its key, the module, the executable


class Compiled:
    """The folder of this process for what XLA compiles. Raises OSError where it cannot be made.

    `dropped` names the entries that were damaged.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.dropped = prepare(folder)
        self._before = [environ.get(name) for name in VARIABLES]

    def finish(self, environ: Mapping[str, str]) -> None:
        """Keep what is new for the next run, unless the program changed what it depends on."""
        # A cache that cannot be written is lost, and nothing else.
        with suppress(OSError):
            if [environ.get(name) for name in VARIABLES] == self._before:
                keep(self.folder)

    def leave_to_parent(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that name a folder of its own to a forked child.

        The child's folder begins empty and is not kept, since most such children end without a word.
        """
        # The last part of the path alone, which no reader writes in another way.
        before, after = self.folder.name, run_folder(self.folder.parent).name
        texts = {name: environ.get(name, "") for name in ("TF_XLA_FLAGS", APPLIED)}
        return {name: text.replace(before, after) for name, text in texts.items() if before in text}


def name_compiler(situation: Situation, path: Sequence[str]) -> str:
    """Return a name for TensorFlow's release and build, the processor, and XLA's flags: ``2.21.0-…``."""
    machine = identity()
    facts = [str(machine[name]) for name in ("system", "architecture", "cpu", "cpu_features")]
    facts += [repr(situation.environment.get(name)) for name in VARIABLES]
    # What tells two installations of one release apart.
    package = locate("tensorflow", path)
    with suppress(OSError):
        facts += [] if package is None else [str(package), str(package.stat().st_mtime_ns)]
    release = ".".join(map(str, situation.versions["tensorflow"]))
    return f"{release}-{hashlib.sha256(chr(0).join(facts).encode()).hexdigest()[:16]}"


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
    dropped = []
    for file in sorted(store.iterdir()):
        name = _ENTRY.fullmatch(file.name)
        if name is None:
            continue
        content = _read(file)
        if content is None or hashlib.sha256(content).hexdigest() != name[2]:
            with suppress(OSError):
                file.unlink(missing_ok=True)
            dropped.append(file.name)
            continue
        with suppress(OSError):
            if abs(time.time() - file.stat().st_mtime) > DAY:
                os.utime(file)
        with suppress(FileExistsError):  # two runs compiled it at once, with other bytes
            _link(file, folder / name[1], content)
    return dropped


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
    # The entries that were used longest ago leave, of all releases together, beyond the limit.
    entries = []
    for file in folder.parent.parent.glob("*/*.pb.*"):
        with suppress(OSError):
            status = file.lstat()
            entries.append((status.st_mtime, status.st_size, file))
    total = 0
    for _, size, file in sorted(entries, reverse=True):
        total += size
        if total > _MOST_BYTES and _ENTRY.fullmatch(file.name):
            file.unlink(missing_ok=True)
    return kept


def clear(top: Path) -> int:
    """Remove all entries below ``top`` that no process uses; return how many. Other files stay."""
    removed = 0
    for store in top.glob("*/") if find_refusal(top) is None else ():
        _remove_dead_runs(store, time.time())
        for file in store.glob("*.pb.*"):
            if _ENTRY.fullmatch(file.name) and file.is_file() and not file.is_symlink():
                file.unlink(missing_ok=True)
                removed += 1
    return removed


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
    # Not its mode, which is TensorFlow's by the umask: the folder keeps others out.
    with suppress(OSError, UntrustedError):
        return read_own(file, _LARGEST)[0]
    return None


def _remove_dead_runs(store: Path, now: float) -> None:
    """Remove the folders of processes that have ended; of those elsewhere, what is very old."""
    for folder in store.glob("run-*"):
        name = _RUN.fullmatch(folder.name)
        if name is None:
            continue
        is_dead = has_ended(name[1], int(name[2]))
        with suppress(OSError):
            is_dead |= name[1] != name_machine() and now - folder.stat().st_mtime >= _LIFE
        if is_dead:
            shutil.rmtree(folder, ignore_errors=True)
