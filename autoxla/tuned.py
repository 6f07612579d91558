"""What tuning found for a program, kept for its next runs.

A record is found by the arguments, paths and contents of the program's files, the releases of the
backends and the machine. What is read is checked: only variables that tuning varies, and values that
it gives them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from autoxla.facts import STEPS, Reading, Situation, Step, Tuned, Version
from autoxla.learned import program_key
from autoxla.places import answers, cache_folder
from autoxla.records import Store
from autoxla.situation.machine import digest, identity

#: What a record may set, and to what.
VARIABLES: Mapping[str, re.Pattern[str]] = {
    "ITEX_DISABLE_XLA": re.compile("1"),
    "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": re.compile("0"),
    "OMP_NUM_THREADS": re.compile("[1-9][0-9]{0,3}"),
    "TF_ENABLE_ONEDNN_OPTS": re.compile("0"),
    "TF_NUM_INTRAOP_THREADS": re.compile("[1-9][0-9]{0,3}"),
    "TF_USE_LEGACY_KERAS": re.compile("1"),
}
#: The names of paths, which a message repeats.
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RELEASES = ("tensorflow", "tensorflow-cpu", "keras", "tf-keras", "intel-extension-for-tensorflow")


def recall(
    situation: Situation, arguments: Sequence[str], environ: Mapping[str, str], store: Store | None = None
) -> Situation:
    """Return ``situation`` with what tuning this very program with these arguments found.

    What is left out is noted in ``store``, by default one of its own.
    """
    store = Store(programs_folder(environ)) if store is None else store
    if not answers(store.folder) or not store.folder.is_dir():
        return situation
    key = find_key(situation.reading, arguments, situation.versions)
    record = store.read(key) if key is not None else None
    if key is None or record is None:
        return situation
    return replace(situation, tuned=read_noted(store, key, record))


def keep(
    situation: Situation, arguments: Sequence[str], environ: Mapping[str, str], facts: Mapping[str, object]
) -> str | None:
    """Keep ``facts`` of the program; return the record's key, None where its files cannot be read.

    Raises OSError where the folder cannot be written.
    """
    key = find_key(situation.reading, arguments, situation.versions)
    if key is not None:
        about = {"program": Path(situation.reading.files[0]).name, "versions": _releases(situation.versions)}
        Store(programs_folder(environ)).write(key, {**about, **facts, "machine": identity()})
    return key


def programs_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of these records."""
    return cache_folder(environ) / "programs"


def find_key(reading: Reading, arguments: Sequence[str], versions: Mapping[str, Version]) -> str | None:
    """Return the key of a program on this machine, None where a file of it is missing."""
    program = program_key(reading, arguments)
    if program is None:
        return None
    facts = [program, sorted(_releases(versions).items()), digest(identity())]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def read_tuned(record: Mapping[str, object]) -> Tuned | None:
    """Return what ``record`` says, None where any part of it is not what tuning writes."""
    path, step, date = (record.get(name) for name in ("winner", "step", "date"))
    settings, speedup = record.get("settings"), record.get("speedup")
    if not isinstance(path, str) or not NAME.fullmatch(path) or not (step is None or step in STEPS):
        return None
    if not isinstance(date, str) or not _DATE.fullmatch(date) or not _are_settings(settings):
        return None
    if not isinstance(speedup, float) or not 1 <= speedup < 1e6:
        return None
    chosen: Step | None = next((known for known in STEPS if known == step), None)
    return Tuned(path, chosen, dict(settings), speedup, date)  # type: ignore[call-overload]


def read_noted(store: Store, key: str, record: Mapping[str, object]) -> Tuned | None:
    """Return what ``record`` says; note it in ``store`` where it is left out."""
    tuned = read_tuned(record)
    if tuned is None:
        store.ignored.append((store.folder / f"{key}.json", "it is not what tuning writes"))
    return tuned


def _are_settings(settings: object) -> bool:
    if not isinstance(settings, dict):
        return False
    return all(
        name in VARIABLES and isinstance(value, str) and bool(VARIABLES[name].fullmatch(value))
        for name, value in settings.items()
    )


def _releases(versions: Mapping[str, Version]) -> dict[str, str]:
    return {name: ".".join(map(str, versions[name])) for name in _RELEASES if name in versions}
