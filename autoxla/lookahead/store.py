"""Readings kept on disk, one small file a program, valid as long as all that was looked at is the same."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from autoxla.lookahead.files import Signature, look
from autoxla.model import Evidence, EvidenceKind, Grade, Place, Reading
from autoxla.store import Store, make_key

#: Changes with the meaning of what is stored, or of what is read.
FORMAT = 5
#: How many programs are remembered, and how long one entry may be in bytes.
MOST_ENTRIES = 64
LARGEST_ENTRY = 8 << 20
# A file may change again without a new time within this many ns.
_RACE = 2_000_000_000
_GRADES: Mapping[str, Grade] = {"certain": "certain", "possible": "possible"}
_KINDS: tuple[EvidenceKind, ...] = get_args(EvidenceKind)


def open_readings(folder: Path) -> Store:
    """Return the store of readings in ``folder``."""
    return Store(folder, largest=LARGEST_ENTRY, most=MOST_ENTRIES, most_bytes=MOST_ENTRIES * LARGEST_ENTRY)


def load(folder: Path, program: list[object]) -> Reading | None:
    """Return what was read of ``program`` the last time, None where nothing is kept that still holds."""
    try:
        entry: Any = open_readings(folder).read(make_key(FORMAT, program))
        if entry is None:
            return None
        for path, before in entry["seen"].items():
            now = look(path)
            if (None if now is None else list(now)) != before:
                return None
        return _from_data(entry["reading"])
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def save(folder: Path, program: list[object], reading: Reading, seen: Mapping[str, Signature]) -> None:
    """Keep ``reading`` of ``program``, unless a file is so new that its next change could go unseen.

    What cannot be written is not: the next run reads again.
    """
    now = time.time_ns()
    if any(found is not None and now - found[2] < _RACE for found in seen.values()):
        return
    with suppress(OSError):
        entry = {"seen": seen, "reading": _to_data(reading)}
        open_readings(folder).write(make_key(FORMAT, program), entry)


def _to_data(reading: Reading) -> dict[str, object]:
    evidence = reading.evidence
    files = {file: at for at, file in enumerate(dict.fromkeys(e.place.file for e in evidence))}
    return {
        "places": list(files),
        "kind": [_KINDS.index(e.kind) for e in evidence],
        "name": [e.name for e in evidence],
        "value": [e.value for e in evidence],
        "grade": [e.grade for e in evidence],
        "early": [e.early for e in evidence],
        "caught": [e.caught for e in evidence],
        "file": [files[e.place.file] for e in evidence],
        "line": [e.place.line for e in evidence],
        "column": [e.place.column for e in evidence],
        "origin": [e.origin and [e.origin.file, e.origin.line, e.origin.column] for e in evidence],
        "complete": reading.complete,
        "known": reading.known,
        "files": reading.files,
        "unread": [[place.file, place.line, place.column, reason] for place, reason in reading.unread],
    }


def _from_data(data: Mapping[str, Any]) -> Reading:
    # By columns, since checks of a whole column cost next to nothing.
    files = _column(data, "places", str)
    places = map(
        Place,
        [files[at] for at in _column(data, "file", int)],
        _column(data, "line", int, type(None)),
        _column(data, "column", int, type(None)),
    )
    evidence = map(
        Evidence,
        [_KINDS[at] for at in _column(data, "kind", int)],
        _column(data, "name", str),
        _column(data, "value", str, bool, type(None)),
        [_GRADES[grade] for grade in _column(data, "grade", str)],
        places,
        _column(data, "early", bool),
        _column(data, "caught", bool),
        [None if row is None else _place(*row) for row in _column(data, "origin", list, type(None))],
    )
    return Reading(
        evidence=tuple(evidence),
        complete=data["complete"] is True,
        known=data["known"] is True,
        files=tuple(_column(data, "files", str)),
        unread=tuple(_unread(row) for row in data["unread"]),
    )


def _unread(row: list[Any]) -> tuple[Place, str]:
    *place, reason = row
    if type(reason) is not str:
        raise TypeError
    return _place(*place), reason


def _place(file: object, line: object, column: object) -> Place:
    if type(file) is not str or not {type(line), type(column)} <= {int, type(None)}:
        raise TypeError
    return Place(file, line, column)  # type: ignore[arg-type]


def _column(data: Mapping[str, Any], name: str, *types: type) -> list[Any]:
    """Return a column whose values are all of `types`; raises TypeError on any other."""
    column = data[name]
    if type(column) is not list or not set(map(type, column)) <= set(types):
        raise TypeError
    return column
