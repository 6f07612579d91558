"""Readings that are kept on disk, valid as long as all that was looked at is the same."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any

from autoxla.lookahead.files import look
from autoxla.model import Evidence, Place, Reading
from autoxla.store import Store

#: How many programs are remembered, and how long one entry may be in bytes.
MOST_ENTRIES = 64
_LARGEST_ENTRY = 8 << 20
#: A file may change again without a new time within this many ns.
_RACE = 2_000_000_000


def open_readings(folder: Path) -> Store:
    """Return the store of readings in ``folder``."""
    return Store(folder, largest=_LARGEST_ENTRY, most=MOST_ENTRIES, most_bytes=MOST_ENTRIES * _LARGEST_ENTRY)


def keep(folder: Path, key: str, reading: Reading, seen: Mapping[str, tuple[str, int, int] | None]) -> None:
    """Keep ``reading``, unless a file is so new that its next change could go unseen.

    What cannot be written is not kept: the next run reads again.
    """
    newest = max((found[2] for found in seen.values() if found is not None), default=0)
    if time.time_ns() - newest >= _RACE:
        with suppress(OSError):
            open_readings(folder).write(key, {"seen": seen, "reading": astuple(reading)})


def recall(folder: Path, key: str) -> Reading | None:
    """Return what was read the last time, None where nothing is kept that still holds."""
    try:
        entry: Any = open_readings(folder).read(key)
        if entry is None:
            return None
        for path, before in entry["seen"].items():
            now = look(path)
            if (None if now is None else list(now)) != before:
                return None
        rows, complete, known, files, unread = entry["reading"]
        evidence = (
            Evidence(kind, name, value, grade, Place(*at), early, caught, origin and Place(*origin), default)
            for kind, name, value, grade, at, early, caught, origin, default in rows
        )
        gaps = tuple((Place(*place), reason) for place, reason in unread)
        return Reading(tuple(evidence), complete, known, tuple(files), gaps)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
