"""What XLA compiled, kept for the next process: entries of TensorFlow's persistent compilation cache.

An entry is native code, and a damaged one ends the process that loads it. TensorFlow 2.15 to 2.21 write an
entry under another name and rename it, so that one folder serves several processes. When a process ends, the
SHA-256 of each new entry is written beside it. When a program starts, before TensorFlow looks, each entry is
removed that has another content, or none that is known: what a killed process left may be damaged.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from autoxla.cache import find_refusal, make_folder, make_key
from autoxla.model import Finding, Place, Situation
from autoxla.situation.distributions import locate
from autoxla.situation.hardware import identity
from autoxla.store import DAY

#: The variables that change the code and are part of no entry's name in TensorFlow's cache.
VARIABLES = ("XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS")
_MOST_BYTES = 1 << 28  # of all entries; each is read at each start


class Compiled:
    """The folder in which TensorFlow keeps what XLA compiles. Raises OSError where it cannot be trusted.

    `dropped` names the entries that were damaged.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.dropped: list[str] = []
        self._before = [environ.get(name) for name in VARIABLES]
        make_folder(folder)
        refusal = find_refusal(folder)
        if refusal is not None:
            raise PermissionError(refusal)
        # The process that started this one verified them, and may have new ones.
        is_verified = str(folder) in environ.get("TF_XLA_FLAGS", "")
        for entry in () if is_verified else folder.glob("*.pb"):
            known = _digest_of(entry)
            if known.is_file() and known.read_text(encoding="ascii", errors="replace") == _digest(entry):
                os.utime(known)  # when it was used last
                continue
            self.dropped += [entry.name] if known.is_file() else []
            for file in (entry, known):
                file.unlink(missing_ok=True)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The finding that entries were dropped, where some were."""
        if not self.dropped:
            return ()
        message = f"{len(self.dropped)} compiled program(s) were damaged or half written, and dropped"
        remedy, place = "none: XLA compiles them again", Place(str(self.folder))
        return (Finding("AX908", "info", message, remedy, place, applied=True),)

    def finish(self, environ: Mapping[str, str]) -> None:
        """Keep what is new for the next run, unless the program changed what it depends on."""
        # A cache that cannot be written is lost, and nothing else.
        with suppress(OSError):
            if [environ.get(name) for name in VARIABLES] == self._before:
                keep(self.folder)


def name_compiler(situation: Situation, path: Sequence[str]) -> str:
    """Return a name for TensorFlow's release and build, the processor, and XLA's flags: ``2.21.0-…``."""
    machine = identity()
    facts: list[object] = [machine[name] for name in ("system", "architecture", "cpu", "cpu_features")]
    facts += [situation.environment.get(name) for name in VARIABLES]
    # What tells two installations of one release apart.
    package = locate("tensorflow", path)
    with suppress(OSError):
        facts += [] if package is None else [str(package), package.stat().st_mtime_ns]
    release = ".".join(map(str, situation.versions["tensorflow"]))
    return f"{release}-{make_key(*facts)[:16]}"


def keep(folder: Path) -> None:
    """Write the digests of the new entries, and remove those used longest ago beyond the limit.

    Raises OSError where that cannot be.
    """
    make_folder(folder)  # raises an error where its file system does not answer
    for entry in folder.glob("*.pb"):
        known = _digest_of(entry)
        # Two processes may have compiled it at once.
        if not known.exists() or known.stat().st_mtime < entry.stat().st_mtime:
            known.write_text(_digest(entry), encoding="ascii")
    total = 0
    # Of all releases together.
    used = {entry: _digest_of(entry).stat().st_mtime for entry in folder.parent.glob("*/*.pb")}
    for entry in sorted(used, key=lambda each: used[each], reverse=True):
        total += entry.stat().st_size
        if total > _MOST_BYTES:
            for file in (entry, _digest_of(entry)):
                file.unlink(missing_ok=True)
    # What TensorFlow was writing when it was killed.
    for file in folder.glob("*.tmp"):
        if time.time() - file.stat().st_mtime > DAY:
            file.unlink(missing_ok=True)


def clear(top: Path) -> int:
    """Remove all entries below ``top``; return how many. Other files stay."""
    removed = 0
    for entry in top.glob("*/*.pb") if find_refusal(top) is None else ():
        for file in (entry, _digest_of(entry)):
            file.unlink(missing_ok=True)
        removed += 1
    return removed


def _digest_of(entry: Path) -> Path:
    """Return the file that holds the digest of ``entry``."""
    return entry.with_name(f"{entry.name}.sha256")


def _digest(entry: Path) -> str:
    """Return the digest of what is in ``entry``, empty for what is no regular file."""
    is_regular = entry.is_file() and not entry.is_symlink()
    return hashlib.sha256(entry.read_bytes()).hexdigest() if is_regular else ""
