"""Cures: the variables under which a program lives that dies without them, kept for its next runs.

``python -m autoxla heal`` finds one by running the program; a run that dies of a known error with one
possible setting learns it. One cure a program, whatever its arguments: it holds over edits, until the program
dies under it or the releases change. What a run under it disproved is not learned again.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from autoxla.cache import cache_dir, key_of, make_key, program_key
from autoxla.model import CURE, OUTDATED, Cure, Settings, Situation
from autoxla.policies.cures import name_settings
from autoxla.policies.usage import find_demands, first
from autoxla.settings import VARIABLES as OF_SETTINGS
from autoxla.situation.environment import ROOT, UNCURED
from autoxla.store import DAY, Store

if TYPE_CHECKING:
    from autoxla.running import Subject

__all__ = ["UNCURED", "Cure", "drop", "keep", "open_cures", "recall", "use"]

#: What a cure may set, and to what; it may take away each of them, and any of ITEX's.
VARIABLES: Mapping[str, re.Pattern[str]] = {
    "AUTOXLA_IMPORT_FIRST": re.compile("tensorflow"),
    "AUTOXLA_KERAS": re.compile("2|3|legacy"),
    "AUTOXLA_STEP": re.compile("graph|xla|autocluster-[12]"),
    "KERAS_BACKEND": re.compile("tensorflow|jax|torch|openvino"),
    "KERAS_HOME": re.compile(r"/[^\0\n]{1,1000}"),
    "SM_FRAMEWORK": re.compile(r"tf\.keras|keras"),
    "TF_ENABLE_ONEDNN_OPTS": re.compile("[01]"),
    "TF_KERAS": re.compile("[01]"),
    "TF_USE_LEGACY_KERAS": re.compile("[01]"),
    "TF_XLA_FLAGS": re.compile(r"[^\0\n]{0,4000}"),
    "USE_TF": re.compile("[01]"),
    "XLA_FLAGS": re.compile(r"[^\0\n]{0,4000}"),
}
_ITEX = re.compile("ITEX_[A-Z_]{1,60}")
#: What the user sets of one of these says something of the other.
_RIVALS = frozenset({"AUTOXLA_KERAS", "TF_USE_LEGACY_KERAS"})
#: Their releases are compared, and that of the backend.
_RELEASES = ("tensorflow", "keras", "tf-keras")


def open_cures(environ: Mapping[str, str]) -> Store:
    """Return the store of cures."""
    return Store(cache_dir(environ) / "cures")


def keep(subject: Subject, situation: Situation, cure: Cure, environ: Mapping[str, str]) -> str | None:
    """Keep ``cure`` for the program; return the record's key.

    ``situation`` is the one in which the program dies. None: no later run of the program could be known, or
    ``cure`` was only learned and the user chose otherwise, or a run disproved it before. Raises OSError where
    the folder cannot be written.
    """
    key = key_of(subject)
    if key is None:
        return None
    store, content = open_cures(environ), program_key(situation.reading, ())
    backend = cure.variables.get("KERAS_BACKEND") or situation.environment.get("KERAS_BACKEND")
    releases = _find_releases(situation, [*_RELEASES, *([backend] if backend else [])])
    old = store.read(key) or {}
    refused = old.get("refused") if cure.origin == "learned" and old.get("versions") == releases else None
    refused = refused if isinstance(refused, dict) else {}
    name = name_settings(cure.variables)
    if name in refused and refused[name] in (None, content):
        return None
    values = _choose(situation.settings, situation.environment)
    # What the user chose stands, unless heal has seen the program die of it.
    if cure.origin == "learned" and any(name in values for name in _list_compared(cure)):
        return None
    facts = {
        "program": name_subject(subject),
        "origin": cure.origin,
        "code": cure.code,
        "mark": cure.mark,
        "variables": dict(cure.variables),
        "replaced": {name: values.get(name) for name in _list_compared(cure)},
        "versions": releases,
        "content": content,
        "refused": refused,
    }
    store.write(key, facts)
    return key


def recall(subject: Subject, situation: Situation, environ: Mapping[str, str], store: Store) -> Situation:
    """Return ``situation`` with the cure that is kept for the program, if one is, and why it is not used.

    ``environ`` is the environment of which ``situation`` tells, without what autoxla set.
    """
    key = key_of(subject)
    record = store.read(key) if key is not None else None
    if key is None or record is None or "variables" not in record:
        return situation
    cure = read_cure(store, key, record)
    versions, replaced = record.get("versions"), record.get("replaced")
    if cure is None or not isinstance(versions, dict) or not isinstance(replaced, dict):
        return situation
    now = _find_releases(situation, versions)
    cure = replace(
        cure, program=name_subject(subject), replaced={name: environ.get(name) for name in cure.variables}
    )
    values = _choose(situation.settings, environ)
    if all(values.get(name) == value for name, value in cure.variables.items()):
        return situation  # the user does it
    changed = next((name for name in versions if versions[name] != now[name]), None)
    chosen = next(
        (
            name
            for name in _list_compared(cure)
            if values.get(name) not in (None, cure.variables.get(name), replaced.get(name))
        ),
        None,
    )
    demands = find_demands(
        situation.reading, situation.versions, situation.settings.packages, situation.requiring_keras_2
    )
    needs_3 = first(demands, 3, certain=True) if first(demands, 2, certain=True) is None else None
    switch, setting = (cure.variables.get(name) for name in ("TF_USE_LEGACY_KERAS", "AUTOXLA_KERAS"))
    gives_2 = switch == "1" or setting in ("2", "legacy")
    reason = ""
    if changed is not None:
        then, today = (each or "not installed" for each in (versions[changed], now[changed]))
        reason = f"{OUTDATED} {changed} {then}, and that is {today} now"
    elif chosen is not None:
        reason = f"{chosen}={values[chosen]!r} is set"
    elif gives_2 and needs_3 is not None:
        reason = f"{needs_3.why} ({needs_3.place})"
    return replace(situation, cure=cure, uncured=reason)


def use(cure: Cure, settings: Settings, environ: Mapping[str, str]) -> tuple[Settings, dict[str, str]]:
    """Return the settings and the environment as ``cure`` makes them."""
    asked = {name: cure.variables[of] for name, of in OF_SETTINGS.items() if of in cure.variables}
    places = {"keras_setting" if name == "keras" else name: CURE for name in asked}
    values = {name: value for name, value in environ.items() if name not in cure.variables}
    values |= {name: value for name, value in cure.variables.items() if value is not None}
    return replace(settings, **asked, places={**settings.places, **places}), values  # type: ignore[arg-type]


def drop(subject: Subject, situation: Situation, environ: Mapping[str, str], *, for_good: bool) -> None:
    """Drop the cure in ``situation``; no run learns it again for the program as it is now, or ``for_good``.

    Raises OSError where the folder cannot be written.
    """
    key, cure, store = key_of(subject), situation.cure, open_cures(environ)
    old = store.read(key) if key is not None else None
    if key is None or cure is None or old is None:
        return
    if situation.uncured.startswith(OUTDATED):
        store.remove(key)
        return
    content = None if for_good else program_key(situation.reading, ())
    refused = old.get("refused")
    refused = refused if isinstance(refused, dict) else {}
    refused = {**refused, name_settings(cure.variables): content}
    store.write(key, {**{name: old.get(name) for name in ("program", "versions")}, "refused": refused})


def read_cure(store: Store, key: str, record: Mapping[str, object]) -> Cure | None:
    """Return what ``record`` says; None, noted in ``store``, where any part is not what a cure has."""
    variables, origin = record.get("variables"), record.get("origin")
    mark, code = record.get("mark"), record.get("code")
    texts = isinstance(mark, str) and isinstance(code, str)
    if texts and isinstance(variables, dict) and variables and origin in ("heal", "learned"):
        switch = re.compile("[01]")
        patterns = [switch if _ITEX.fullmatch(name) else VARIABLES.get(name) for name in variables]
        if all(
            pattern is not None and (value is None or (isinstance(value, str) and pattern.fullmatch(value)))
            for pattern, value in zip(patterns, variables.values(), strict=True)
        ):
            return Cure(variables, str(mark), "heal" if origin == "heal" else "learned", str(code))
    store.ignored.append((store.folder / f"{key}.json", "it is no cure"))
    return None


def is_first(environ: Mapping[str, str], what: str) -> bool:
    """Return whether no process of this tree has said ``what`` yet, as far as the cache can tell; note it."""
    store, now = Store(cache_dir(environ) / "said", most=64), time.time()
    key = make_key(os.uname().nodename, environ.get(ROOT, str(os.getpid())), what)
    said = (store.read(key) or {}).get("at")
    with suppress(OSError):
        store.write(key, {"at": now})
    # The number of a process is given anew one day.
    return not (isinstance(said, float) and abs(now - said) < DAY)


def name_subject(subject: Subject) -> str:
    """Return the program as a finding names it."""
    program = subject.program
    if program is None or program.kind == "code":
        return "-c"
    return program.target if program.kind == "module" else os.path.basename(program.target)  # noqa: PTH119


def _find_releases(situation: Situation, names: Iterable[str]) -> dict[str, str | None]:
    """Return the releases of these distributions, None for one that is not installed."""
    versions = situation.versions
    return {name: ".".join(map(str, versions[name])) if name in versions else None for name in names}


def _list_compared(cure: Cure) -> list[str]:
    """Return the variables of which the user's own values count."""
    return sorted(cure.variables.keys() | (_RIVALS if not _RIVALS.isdisjoint(cure.variables) else set()))


def _choose(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the user set, settings as the variables that they have."""
    asked = {of: getattr(settings, name) for name, of in OF_SETTINGS.items()}
    return {**environ, **{name: value for name, value in asked.items() if value is not None}}
