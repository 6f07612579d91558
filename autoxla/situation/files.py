"""Reading of files and folders that belong to others: bounded, and quiet about what cannot be read."""

from __future__ import annotations

import os
import stat
from fnmatch import fnmatchcase
from pathlib import Path

#: Bytes. A configuration file that is longer is not one.
LIMIT = 1 << 20


class UnreadableError(Exception):
    """A file that is there is not read, for the reason given, such as its length."""


def read_start(path: str | Path, most: int) -> bytes | None:
    """Return the first ``most`` bytes of a regular file, None where there is none that can be opened.

    A pipe is not even opened: what is read from it would be missing for its true reader.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return None
        # Something else may be there by now, of which O_NONBLOCK waits for no writer.
        with open(path, "rb", opener=lambda name, how: os.open(name, how | os.O_NONBLOCK)) as stream:
            return stream.read(most) or b""
    except (OSError, ValueError):
        return None


def read_bytes(path: str | Path, limit: int = LIMIT) -> bytes | None:
    """Return the content of a regular file, None where nothing can be opened.

    Raises `UnreadableError` for all that may block or has more than `limit` bytes.
    """
    content = read_start(path, limit + 1)
    if content is None and os.path.exists(path) and not is_file(path):  # noqa: PTH110 - it raises nothing
        raise UnreadableError("it is not a regular file")
    if content is not None and len(content) > limit:
        raise UnreadableError(f"it has more than {limit} bytes")
    return content


def list_names(folder: str | Path, pattern: str = "*") -> list[str]:
    """Return the sorted names in a folder that match; none where it cannot be listed."""
    try:
        return sorted(entry.name for entry in Path(folder).iterdir() if fnmatchcase(entry.name, pattern))
    except (OSError, ValueError):
        return []


def is_file(path: str | Path) -> bool:
    """Tell whether there is a regular file; False where that cannot be found out."""
    return os.path.isfile(path)  # noqa: PTH113 - that of Path raises where a folder may not be searched


def is_folder(path: str | Path) -> bool:
    """Tell whether there is a folder; False where that cannot be found out."""
    return os.path.isdir(path)  # noqa: PTH112 - as above
