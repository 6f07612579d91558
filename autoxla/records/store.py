"""Reading and writing records; see `autoxla.records`.

What is read is trusted for nothing but being JSON: callers check every part of it. Several processes
may write one key at once; each writes a file of its own and renames it, so the last one stands.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

#: Version of the layout; a record of another one is no record.
SCHEMA = 1
_LARGEST = 1 << 18  # bytes
_MOST = 512  # records kept in a folder; the oldest leave
_KEY = re.compile(r"[0-9a-f]{16,64}")


def read_record(folder: Path, key: str) -> dict[str, object] | None:
    """Return the record of ``key``, None where there is none that can be read.

    A file that is too large, of another user, no regular file or malformed is none.
    """
    file = _file(folder, key)
    try:
        with file.open("rb") as stream:
            if not _is_ours(os.fstat(stream.fileno())):
                return None
            data = json.loads(stream.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    is_record = isinstance(data, dict) and data.get("schema") == SCHEMA and data.get("key") == key
    return data if is_record else None


def write_record(folder: Path, key: str, data: dict[str, object]) -> None:
    """Write ``data`` as the record of ``key``. Raises OSError where the folder cannot be written."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = _file(folder, key)
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps({**data, "schema": SCHEMA, "key": key}), encoding="utf-8")
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    _drop_oldest(folder)


def _file(folder: Path, key: str) -> Path:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of a record")
    return folder / f"{key}.json"


def _is_ours(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_size <= _LARGEST


def _drop_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.json"), key=_age)
    for file in files[: max(0, len(files) - _MOST)]:
        file.unlink(missing_ok=True)


def _age(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
