"""The one assembler: a program, its arguments and an environment become a situation and a plan.

The process of a program and every command go through `assemble`, so that what ``explain``, ``check``,
``env``, ``doctor`` and ``tune`` say of a program is what its run does. Nothing is imported, run or changed
here.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from autoxla import WATCHED
from autoxla.cache import cache_dir, has_record, has_records, key_of
from autoxla.lookahead import read_program
from autoxla.model import CURE, Evidence, Finding, Place, Plan, Reading, Settings, Situation, Usage
from autoxla.policies import decide
from autoxla.policies.usage import KERAS_FREE, is_below, summarise
from autoxla.settings import read_settings
from autoxla.situation.cluster import is_of_many
from autoxla.situation.distributions import find_requiring, look_up
from autoxla.situation.environment import UNCURED, is_watched, restore
from autoxla.situation.gathering import gather, read_flag_names

if TYPE_CHECKING:
    from autoxla.running import Subject
    from autoxla.store import Store

#: The variable with which ``python -m autoxla tune`` tells a child what to time.
PROBE = "AUTOXLA_PROBE"
#: The variable with which ``python -m autoxla heal`` tells a child where to leave what it dies of.
WATCH = "AUTOXLA_WATCH"
#: The modules whose own requirements say nothing new.
_BACKENDS = WATCHED | {"jax", "torch", "autoxla"}
_GENERATIONS: Mapping[str, Literal[2, 3]] = {"tf_keras": 2, "keras": 3, "keras_core": 3}


class Start(NamedTuple):
    """The import under way in the program's own process: its line and module; None for one that is over."""

    name: str | None
    place: Place | None


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and what it was made from. `findings` are the plan's, and one for each record left out."""

    situation: Situation
    plan: Plan
    findings: tuple[Finding, ...]


def declare(
    subject: Subject,
    environ: Mapping[str, str],
    configured: Mapping[str, object] | None = None,
    *,
    is_part: bool = False,
) -> tuple[Settings, Usage]:
    """Return the settings for ``subject``, and what they say that it does.

    ``configured`` are those of `configure`. Raises `autoxla.settings.BadSettingError`.
    """
    # What a parent set for its own program, such as AUTOXLA_KERAS, is no choice for this one.
    return read_settings(subject.folder, environ if is_part else restore(environ)[0], configured)


def assemble(
    subject: Subject,
    environ: Mapping[str, str],
    *,
    declared: tuple[Settings, Usage] | None = None,
    start: Start | None = None,
    restart: Literal["the kernel", "IPython"] | None = None,
    is_part: bool = False,
    open_cache: Callable[[Path], None] | None = None,
    is_one_process: bool = True,
) -> Planned:
    """Return the plan for ``subject`` in ``environ``.

    ``declared`` are the settings, as `declare` returns them.
    ``start`` is given in the program's own process, where the variables that it assigns are set already.
    ``is_part``: the process runs parts of another one's program and keeps that one's plan. ``open_cache``
    makes the folder for compiled programs, or raises OSError; without it the folder is only named. Where the
    plan is to serve other processes (``is_one_process`` False) there is none, since nobody verifies it for
    them, and what this process has loaded is not looked at.

    Raises `autoxla.settings.BadSettingError`.
    """
    settings, usage = declared or declare(subject, environ, is_part=is_part)
    cache = cache_dir(environ)
    stores: list[Store] = []
    reading = read_subject(subject, environ)

    def look(settings: Settings, environ: Mapping[str, str]) -> Situation:
        modules = sys.modules if is_one_process else {}
        found = gather(settings, usage, environ=environ, modules=modules, path=subject.path, is_part=is_part)
        return with_reading(replace(found, restart=restart), reading, start, subject.path)

    situation = look(settings, environ)
    # Workers of one job must not differ by what each machine remembers.
    is_alone = not (is_part or restart or is_of_many(environ))
    may_cure = (
        is_alone and not situation.imported and settings.mode in ("fix", "auto") and UNCURED not in environ
    )
    if may_cure and (key := key_of(subject)) is not None and has_record(cache / "cures", key):
        from autoxla import cures

        kept = cures.open_cures(environ)
        stores.append(kept)
        view = restore(environ)[0] | ({} if start is not None else list_assigned(situation.reading))
        recalled = cures.recall(subject, situation, view, kept)
        if recalled.cure is not None and not recalled.uncured:
            situation = look(*cures.use(recalled.cure, settings, view))
            situation = replace(situation, own=frozenset(recalled.cure.variables))
        situation = replace(situation, cure=recalled.cure, uncured=recalled.uncured)
    if PROBE in environ or {WATCH, UNCURED} <= environ.keys():
        # A program that is being tuned or healed takes the path that it is given.
        situation = replace(situation, settings=replace(situation.settings, trial=False))
    elif settings.mode == "auto" and is_alone and has_records(cache / "programs"):
        from autoxla.tuned import open_tuned, recall_tuned

        tuned = open_tuned(environ)
        stores.append(tuned)
        situation = recall_tuned(situation, subject.arguments, tuned)
    wants_cache = settings.xla_cache and settings.mode != "observe" and "tensorflow" in situation.versions
    if is_one_process and wants_cache and situation.cache_refused is None:
        from autoxla.compiled import name_compiler

        folder = cache / "xla" / name_compiler(situation, subject.path)
        try:
            if open_cache is not None:
                open_cache(folder)
            situation = replace(situation, xla_cache=str(folder))
        except OSError as error:
            situation = replace(situation, cache_refused=str(error))
    plan = decide(situation)
    # Each record that was left out has a finding; a folder that is refused has one of its own.
    left_out = [
        Finding("AX907", "info", f"a record is left out: {reason}", "remove the file", Place(str(file)))
        for store in stores
        for file, reason in dict.fromkeys(store.ignored)
        if file != store.folder
    ]
    # What a cure asks for is told with it.
    told = tuple(f for f in plan.findings if f.level != "info" or f.place != CURE)
    return Planned(situation, replace(plan, findings=told), (*told, *left_out))


def with_reading(
    situation: Situation, reading: Reading, start: Start | None, path: Sequence[str]
) -> Situation:
    """Return ``situation`` for the program that was read, at its first import of a backend.

    Where the program does not run in this process (``start`` None), what it certainly assigns to a variable
    before that import is the user's choice as if it stood in the environment.
    """
    reading = replace(reading, evidence=tuple(_settle_defaults(reading.evidence, situation.environment)))
    situation = add_reading(situation, reading, path)
    imports = (e for e in reading.evidence if e.kind == "import" and e.grade == "certain")
    first = next((e for e in imports if is_below(e.name, *WATCHED)), None)
    if start is None:
        start = Start(None if first is None else first.name.split(".")[0], None)
        assigned = list_assigned(reading)
        situation = replace(situation, environment={**situation.environment, **assigned})
        if not assigned.keys().isdisjoint(("TF_XLA_FLAGS", "XLA_FLAGS")):
            situation = replace(situation, flag_names=read_flag_names(situation.environment, path))
    place, usage = start.place, situation.usage
    # The source tells the column, too.
    if first is not None and place in (None, replace(first.place, column=None)):
        place = first.place
    evidence = {} if place is None else {"importing": place}
    # A bare keras is a generation.
    generation = _GENERATIONS.get(start.name or "") if usage.keras is None else usage.keras
    if generation != usage.keras and place is not None:
        evidence["keras"] = place
    return replace(
        situation,
        usage=replace(usage, keras=generation, evidence={**usage.evidence, **evidence}),
        importing=start.name,
        imported=situation.imported - {start.name},
    )


def add_reading(situation: Situation, reading: Reading, path: Sequence[str]) -> Situation:
    """Return ``situation`` with what the program's source says, and the packages that it names."""
    tops = {e.name.split(".")[0] for e in reading.evidence if e.kind == "import"} - KERAS_FREE - _BACKENDS
    if tops:
        from autoxla.policies.packages import PACKAGES

        known = {p.module.split(".")[0]: p.distribution for p in PACKAGES}
        found = look_up(sorted(known[top] for top in tops & known.keys()), path)
        situation = replace(
            situation,
            versions={**situation.versions, **found},
            requiring_keras_2=find_requiring(sorted(tops - known.keys()), "tf-keras", path),
        )
    if any(each.kind == "loads" for each in reading.evidence):
        from autoxla.situation.saved_files import find_loaded

        situation = replace(situation, saved=find_loaded(reading.evidence))
    usage = summarise(reading, situation.versions, situation.usage)
    return replace(situation, reading=reading, usage=usage)


def _settle_defaults(evidence: Iterable[Evidence], environ: Mapping[str, str]) -> Iterator[Evidence]:
    """Leave out each ``os.environ.setdefault`` of a variable that is there by then.

    In a run ``environ`` may hold what the program itself has set, so it counts where the program sets the
    variable once before its imports.
    """
    listed, were_set = list(evidence), set[str]()
    counts = Counter(
        each.name for each in listed if each.kind == "variable" and each.early and each.grade == "certain"
    )
    for each in listed:
        if each.kind == "variable":
            differs = counts[each.name] < 2 and environ.get(each.name, each.value) != each.value
            if each.default and (differs or each.name in were_set):
                continue
            if each.grade == "certain":
                were_set.add(each.name)
        yield each


def list_assigned(reading: Reading) -> dict[str, str]:
    """Return what the program certainly assigns to watched variables before its first import of a backend."""
    return {
        e.name: e.value
        for e in reading.evidence
        if e.kind == "variable"
        and e.grade == "certain"
        and e.early
        and isinstance(e.value, str)
        and is_watched(e.name)
    }


def read_subject(subject: Subject, environ: Mapping[str, str]) -> Reading:
    """Return what the source of the program says; what was read is kept, but for a notebook's cells."""
    if subject.program is None:
        return Reading()
    is_changing = subject.program.kind == "cells"
    return read_program(subject.program, cache=None if is_changing else cache_dir(environ) / "lookahead")
