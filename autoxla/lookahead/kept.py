"""Readings that are kept on disk, valid as long as all that was looked at is the same."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from autoxla.lookahead.files import Signature, look
from autoxla.model import Evidence, Place, Reading
from autoxla.store import Store

#: How many programs are remembered, and how long one entry may be in bytes.
MOST_ENTRIES = 64
_LARGEST_ENTRY = 8 << 20


def open_readings(folder: Path) -> Store:
    """Return the store of readings in ``folder``."""
    return Store(folder, largest=_LARGEST_ENTRY, most=MOST_ENTRIES, most_bytes=MOST_ENTRIES * _LARGEST_ENTRY)


def keep(folder: Path, key: str, reading: Reading, seen: Mapping[str, Signature]) -> None:
    """Keep ``reading``. What cannot be written is not: the next run reads again."""

    def of(place: Place) -> list[object]:
        return [place.file, place.line, place.column]

    evidence = [
        (e.kind, e.name, e.value, e.grade, of(e.place), e.early, e.caught, e.origin and of(e.origin))
        for e in reading.evidence
    ]
    unread = [[of(place), reason] for place, reason in reading.unread]
    data = {"seen": seen, "evidence": evidence, "files": reading.files, "unread": unread}
    with suppress(OSError):
        open_readings(folder).write(key, data)


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
        evidence = tuple(
            Evidence(kind, name, value, grade, Place(*place), early, caught, origin and Place(*origin))
            for kind, name, value, grade, place, early, caught, origin in entry["evidence"]
        )
        unread = tuple((Place(*place), reason) for place, reason in entry["unread"])
        return Reading(evidence, not unread, True, tuple(entry["files"]), unread)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
