"""Cures: the variables under which a program lives that dies without them, kept for its next runs.

``python -m autoxla heal`` finds one by running the program; a run that dies of a known error with one
possible setting learns it. One cure a program, whatever its arguments: it holds over edits, until the program
dies under it or the releases change. What a run disproved is not learned again.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from autoxla.cache import cache_dir, key_of, make_key
from autoxla.model import CURE, OUTDATED, Cure, Settings, Situation
from autoxla.policies.cures import name_settings
from autoxla.policies.usage import find_demands, first
from autoxla.settings import VARIABLES as OF_SETTINGS
from autoxla.situation.environment import ROOT
from autoxla.store import DAY, Store

if TYPE_CHECKING:
    from autoxla.running import Subject

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
    store = open_cures(environ)
    backend = cure.variables.get("KERAS_BACKEND") or situation.environment.get("KERAS_BACKEND")
    releases = _find_releases(situation, [*_RELEASES, *([backend] if backend else [])])
    values = _choose(situation.settings, situation.environment)
    refused: list[object] = []
    if cure.origin == "learned":
        old = store.read(key) or {}
        refused = _read_refused(old) if old.get("versions") == releases else []
        # What the user chose stands, unless heal has seen the program die of it.
        if name_settings(cure.variables) in refused or not values.keys().isdisjoint(_list_compared(cure)):
            return None
    facts = {
        "program": name_subject(subject),
        "origin": cure.origin,
        "code": cure.code,
        "mark": cure.mark,
        "variables": dict(cure.variables),
        "replaced": {name: values.get(name) for name in _list_compared(cure)},
        "versions": releases,
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
    variables = cure.variables
    cure = replace(
        cure, program=name_subject(subject), replaced={name: environ.get(name) for name in variables}
    )
    values = _choose(situation.settings, environ)
    if all(values.get(name) == value for name, value in variables.items()):
        return situation  # the user does it
    changed = next((name for name in versions if versions[name] != now[name]), None)
    compared = ((name, (None, variables.get(name), replaced.get(name))) for name in _list_compared(cure))
    chosen = next((name for name, known in compared if values.get(name) not in known), None)
    demands = find_demands(
        situation.reading, situation.versions, situation.settings.packages, situation.requiring_keras_2
    )
    needs_3 = first(demands, 3, certain=True) if first(demands, 2, certain=True) is None else None
    gives_2 = variables.get("TF_USE_LEGACY_KERAS") == "1" or variables.get("AUTOXLA_KERAS") in ("2", "legacy")
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


def drop(subject: Subject, situation: Situation, environ: Mapping[str, str]) -> bool:
    """Drop the cure in ``situation``, so that no run learns it again under the same releases.

    Returns whether it is gone: a folder that cannot be written is left as it is.
    """
    key, cure, store = key_of(subject), situation.cure, open_cures(environ)
    old = store.read(key) if key is not None else None
    if key is None or cure is None or old is None:
        return True
    try:
        if situation.uncured.startswith(OUTDATED):
            store.remove(key)
        else:
            refused = [*_read_refused(old), name_settings(cure.variables)]
            kept = {"program": old.get("program"), "versions": old.get("versions")}
            store.write(key, {**kept, "refused": refused})
    except OSError:
        return False
    return True


def read_cure(store: Store, key: str, record: Mapping[str, object]) -> Cure | None:
    """Return what ``record`` says; None, noted in ``store``, where any part is not what a cure has."""
    variables, origin, mark, code = (record.get(name) for name in ("variables", "origin", "mark", "code"))
    has_texts = isinstance(mark, str) and isinstance(code, str) and origin in ("heal", "learned")
    pairs = variables.items() if has_texts and isinstance(variables, dict) else ()
    if pairs and all(_may_set(name, value) for name, value in pairs):
        return Cure(dict(pairs), str(mark), "heal" if origin == "heal" else "learned", str(code))
    store.ignored.append((store.folder / f"{key}.json", "it is no cure"))
    return None


def _may_set(name: str, value: object) -> bool:
    """Return whether a cure may give a variable this value; None takes it away."""
    pattern = re.compile("[01]") if _ITEX.fullmatch(name) else VARIABLES.get(name)
    is_fitting = isinstance(value, str) and pattern is not None and pattern.fullmatch(value) is not None
    return pattern is not None and (value is None or is_fitting)


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


def _read_refused(record: Mapping[str, object]) -> list[object]:
    """Return what the cures set that a run disproved."""
    refused = record.get("refused")
    return refused if isinstance(refused, list) else []


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
