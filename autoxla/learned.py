"""What a run taught of its program that reading the source had not told.

A dynamic import, a ``jit_compile`` out of a configuration file: the next run of the same program, with
the same content, starts with that knowledge. A changed program has forgotten it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from autoxla import WATCHED
from autoxla.facts import Evidence, Place, Reading
from autoxla.places import cache_folder
from autoxla.records import Store

_LARGEST = 1 << 22  # bytes of a source file; a larger one is not hashed


def learned_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of these records."""
    return cache_folder(environ) / "learned"


def recall(reading: Reading, arguments: Sequence[str], store: Store) -> Reading:
    """Return ``reading`` with what earlier runs of this very program with these arguments taught."""
    key = program_key(reading, arguments)
    record = store.read(key) if key is not None else None
    return reading if record is None else replace(reading, evidence=(*reading.evidence, *_evidence(record)))


def learn(
    reading: Reading,
    arguments: Sequence[str],
    imports: Iterable[str],
    compiles: Sequence[Mapping[str, object]],
    store: Store,
) -> None:
    """Keep what the run showed beyond ``reading``. Raises OSError where ``store`` cannot be written.

    ``imports`` are the watched modules that the program itself imported, ``compiles`` the report's
    entries. What was learned before stays.
    """
    key = program_key(reading, arguments)
    told = {e.name.split(".")[0] for e in reading.evidence if e.kind == "import"}
    new = {name for name in imports if name not in told}
    jit = _new_jit(reading, compiles)
    if key is None or not (new or jit is not None):
        return
    old = store.read(key) or {}
    kept = jit if jit is not None else old.get("jit_compile")
    program = Path(reading.files[0]).name
    store.write(key, {"program": program, "imports": sorted(new.union(_names(old))), "jit_compile": kept})


def _new_jit(reading: Reading, compiles: Sequence[Mapping[str, object]]) -> bool | None:
    """Return the one explicit value that every compile of the run got, if the source had not told."""
    asked = {entry.get("requested") for entry in compiles}
    told = any(e.kind == "jit_compile" and e.value in asked for e in reading.evidence)
    value = next(iter(asked)) if len(asked) == 1 else None
    return value if isinstance(value, bool) and not told else None


def _evidence(record: Mapping[str, object]) -> list[Evidence]:
    place = Place("an earlier run")
    jit = record.get("jit_compile")
    found = [Evidence("import", name, None, "learned", place) for name in _names(record)]
    if isinstance(jit, bool):
        found.append(Evidence("jit_compile", "compile", jit, "learned", place))
    return found


def _names(record: Mapping[str, object]) -> list[str]:
    imports = record.get("imports")
    return [name for name in imports if name in WATCHED] if isinstance(imports, list) else []


def program_key(reading: Reading, arguments: Sequence[str]) -> str | None:
    """Return a hash over arguments, paths and contents, None where a file is missing."""
    if not reading.files:
        return None
    digest = hashlib.sha256(repr(list(arguments)).encode("utf-8", "surrogateescape"))
    for file in reading.files:
        content = _read(file)
        if content is None:
            return None
        digest.update(b"%d %s %d\0" % (len(file), file.encode("utf-8", "surrogateescape"), len(content)))
        digest.update(content)
    return digest.hexdigest()[:32]


def _read(file: str) -> bytes | None:
    """Return the first bytes of a regular file, None for anything else: a pipe would block."""
    try:
        with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:  # noqa: PTH123
            return stream.read(_LARGEST) if stat.S_ISREG(os.fstat(stream.fileno()).st_mode) else None
    except (OSError, ValueError):
        return None
