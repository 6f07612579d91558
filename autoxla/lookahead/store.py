"""Readings kept on disk, one small file a program, valid as long as all that was looked at is the same."""

from __future__ import annotations

import json
import os
import re
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from autoxla.facts import Evidence, EvidenceKind, Grade, Place, Reading
from autoxla.lookahead.files import Signature, look
from autoxla.places import check_size, find_file_refusal, find_refusal, make_folder
from autoxla.records.processes import has_ended, name_machine

#: Changes with the meaning of what is stored, or of what is read.
FORMAT = 2
#: How many programs are remembered, and how long one entry may be in bytes.
MOST_ENTRIES = 64
LARGEST_ENTRY = 8 << 20
_PART = re.compile(r"reading-[0-9a-f]{8}\.([0-9a-f]{8})-(\d{1,10})\.part")
# A file may change again without a new time within this many ns.
_RACE = 2_000_000_000
# O_NONBLOCK: a pipe in the place of an entry must not hold the program up.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_GRADES: Mapping[str, Grade] = {"certain": "certain", "possible": "possible"}
_KINDS: tuple[EvidenceKind, ...] = get_args(EvidenceKind)


class Store:
    """The entry of one program, told by `key`, in `folder`."""

    def __init__(self, folder: Path, key: list[object]) -> None:
        self._key = [FORMAT, *key]
        name = zlib.crc32(json.dumps(self._key).encode())
        self._folder, self._file = folder, folder / f"reading-{name:08x}.json"

    def load(self) -> Reading | None:
        """Return what was read the last time, None where it is not there, damaged or out of date.

        What another user may have written is not read.
        """
        if self._is_refused():
            return None
        try:
            entry = json.loads(self._read())
            if entry["key"] != self._key or not _is_unchanged(entry["seen"]):
                return None
            return _from_data(entry["reading"])
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return None

    def save(self, reading: Reading, seen: Mapping[str, Signature]) -> None:
        """Keep `reading`, unless a file is so new that its next change could go unseen.

        What cannot be written is not: the next run reads again.
        """
        if self._is_refused():
            return
        now = time.time_ns()
        if any(found is not None and now - found[2] < _RACE for found in seen.values()):
            return
        entry = {"key": self._key, "seen": seen, "reading": _to_data(reading)}
        data = json.dumps(entry, separators=(",", ":")).encode()
        if len(data) > LARGEST_ENTRY:
            return
        with suppress(OSError):
            make_folder(self._folder)
            self._write(data)
            self._forget_oldest()

    def _is_refused(self) -> bool:
        # Who can replace the cache folder can replace this one with it.
        return any(find_refusal(folder) is not None for folder in (self._folder, self._folder.parent))

    def _read(self) -> bytes:
        with open(os.open(self._file, _READ), "rb") as stream:  # noqa: PTH123 - a descriptor
            refusal = find_file_refusal(os.fstat(stream.fileno()))
            if refusal is not None:
                raise PermissionError(refusal)
            return stream.read(LARGEST_ENTRY + 1)

    def _write(self, data: bytes) -> None:
        # One name a process, and never one that is there already: another's link is not followed.
        part = self._file.with_suffix(f".{name_machine()}-{os.getpid()}.part")
        check_size(len(data))
        try:
            # For this user alone, whatever the umask is: else it would not be read again.
            with open(os.open(part, _WRITE, 0o600), "wb") as stream:  # noqa: PTH123 - a descriptor
                stream.write(data)
            part.replace(self._file)
        finally:
            part.unlink(missing_ok=True)

    def _forget_oldest(self) -> None:
        entries = [(file.stat().st_mtime_ns, file) for file in self._folder.glob("reading-*")]
        left = [file for _, file in entries if _is_left(file.name)]
        oldest = sorted(entry for entry in entries if entry[1] not in left)[:-MOST_ENTRIES]
        for file in [*left, *(file for _, file in oldest)]:
            file.unlink(missing_ok=True)


def _is_left(name: str) -> bool:
    """Tell whether a file is half an entry, whose writer has ended."""
    writer = _PART.fullmatch(name)
    return writer is not None and has_ended(writer[1], int(writer[2]))


def _is_unchanged(seen: dict[str, list[Any] | None]) -> bool:
    for path, before in seen.items():
        now = look(path)
        if (None if now is None else list(now)) != before:
            return False
    return True


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
