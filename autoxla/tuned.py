"""What tuning found for programs, kept for their next runs.

What is read is trusted for nothing but being JSON: each part of it is checked here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from autoxla.cache import cache_dir, make_key, program_key
from autoxla.model import STEPS, Situation, Step, Tuned, Version
from autoxla.situation.hardware import digest, identity
from autoxla.store import Store

#: What a record of tuning may set, and to what: the variables that tuning varies, and no others.
VARIABLES: Mapping[str, re.Pattern[str]] = {
    "AUTOXLA_STEPS_PER_EXECUTION": re.compile("16"),
    "ITEX_DISABLE_XLA": re.compile("1"),
    "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": re.compile("0"),
    "KERAS_BACKEND": re.compile("jax|torch"),
    "OMP_NUM_THREADS": re.compile("[1-9][0-9]{0,3}"),
    "TF_ENABLE_ONEDNN_OPTS": re.compile("0"),
    "TF_NUM_INTRAOP_THREADS": re.compile("[1-9][0-9]{0,3}"),
    "TF_USE_LEGACY_KERAS": re.compile("1"),
}
#: The names of paths, which a message repeats.
_PATH_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
#: The distributions whose releases a record of tuning holds for.
_RELEASES = (
    *("tensorflow", "tensorflow-cpu", "keras", "tf-keras", "intel-extension-for-tensorflow", "jax", "torch"),
)


def open_tuned(environ: Mapping[str, str]) -> Store:
    """Return the store of what tuning found for programs."""
    return Store(cache_dir(environ) / "programs")


def recall_tuned(situation: Situation, arguments: Sequence[str], store: Store) -> Situation:
    """Return ``situation`` with what tuning this very program with these arguments found here."""
    key = tuned_key(situation, arguments)
    if key is None or (record := store.read(key)) is None:
        return situation
    return replace(situation, tuned=read_tuned(store, key, record))


def keep_tuned(
    situation: Situation, arguments: Sequence[str], store: Store, facts: Mapping[str, object]
) -> str | None:
    """Keep ``facts`` of the program; return the record's key, None where its files cannot be read.

    Raises OSError where the folder cannot be written.
    """
    key = tuned_key(situation, arguments)
    if key is not None:
        about = {
            "program": Path(situation.reading.files[0]).name,
            "versions": _releases(situation.versions),
            "machine": identity(),
        }
        store.write(key, {**facts, **about})
    return key


def tuned_key(situation: Situation, arguments: Sequence[str]) -> str | None:
    """Return the key of a program for these releases on this machine, None where a file of it is missing."""
    program = program_key(situation.reading, arguments)
    if program is None:
        return None
    return make_key(program, sorted(_releases(situation.versions).items()), digest(identity()))


def read_tuned(store: Store, key: str, record: Mapping[str, object]) -> Tuned | None:
    """Return what ``record`` says; None, noted in ``store``, where any part is not what tuning writes."""
    path, date, speedup = record.get("winner"), record.get("date"), record.get("speedup")
    step: Step | None = next((known for known in STEPS if known == record.get("step")), None)
    settings = record.get("settings")
    if (
        isinstance(path, str)
        and _PATH_NAME.fullmatch(path)
        and step == record.get("step")
        and isinstance(date, str)
        and _DATE.fullmatch(date)
        and isinstance(speedup, float)
        and 1 <= speedup < 1e6
        and isinstance(settings, dict)
        and all(isinstance(value, str) for value in settings.values())
        and all(name in VARIABLES and VARIABLES[name].fullmatch(settings[name]) for name in settings)
    ):
        return Tuned(path, step, dict(settings), speedup, date)
    store.ignored.append((store.folder / f"{key}.json", "it is not what tuning writes"))
    return None


def _releases(versions: Mapping[str, Version]) -> dict[str, str]:
    return {name: ".".join(map(str, versions[name])) for name in _RELEASES if name in versions}
