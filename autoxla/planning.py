"""The one assembler: a program, its arguments and an environment become a situation and a plan.

The process of a program and every command go through `assemble`, so that what ``explain``, ``check``,
``env``, ``doctor`` and ``tune`` say of a program is what its run does. Nothing is imported, run or changed
here.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from autoxla import WATCHED
from autoxla.cache import cache_dir, has_record, has_records, key_of
from autoxla.lookahead import Program, find_program, read_program
from autoxla.lookahead.files import current_folder, find_top
from autoxla.lookahead.program import read_command, search_path
from autoxla.model import CURE, Finding, Place, Plan, Reading, Saved, Settings, Situation, Usage
from autoxla.policies import decide
from autoxla.policies.usage import KERAS_FREE, is_below, summarise
from autoxla.settings import read_settings
from autoxla.situation.cluster import is_of_many
from autoxla.situation.distributions import find_requiring, look_up
from autoxla.situation.env_parsing import intended
from autoxla.situation.environment import APPLIED, UNCURED, is_watched, remembered, restore, select_watched
from autoxla.situation.gathering import gather, read_flag_names, site_folders

if TYPE_CHECKING:
    from autoxla.store import Store

#: The variable with which ``python -m autoxla tune`` tells a child what to time.
PROBE = "AUTOXLA_PROBE"
#: The variable with which ``python -m autoxla heal`` tells a child where to leave what it dies of.
WATCH = "AUTOXLA_WATCH"
#: The modules whose own requirements say nothing new.
_BACKENDS = WATCHED | {"jax", "torch", "autoxla"}
_GENERATIONS: Mapping[str, Literal[2, 3]] = {"tf_keras": 2, "keras": 3, "keras_core": 3}


@dataclass(frozen=True, slots=True)
class Subject:
    """A program and its arguments. `folder` is where the search for ``pyproject.toml`` begins.

    `program` None: none in particular, or one whose source is not known. `path` is ``sys.path`` of its
    process.
    """

    program: Program | None
    arguments: tuple[str, ...]
    folder: Path
    path: tuple[str, ...]


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


def subject_from(words: Sequence[str]) -> Subject:
    """Return what ``python *words`` would run: a script, a folder, ``-m MODULE`` or ``-c CODE``.

    No words: no program in particular.
    """
    _, target, arguments = read_command(["python", *words])
    program = find_program(None, [target or "", *arguments], ["python", *words]) if words else None
    # Nobody waits for it to be read.
    program = None if program is None else replace(program, patience=None)
    return subject_of(program, arguments)


def name_command(program: Program | None) -> str:
    """Return ``program`` as ``python -m autoxla explain`` takes it, quoted; empty where it has no name."""
    if program is None or program.kind in ("code", "cells"):
        return ""
    return f"-m {program.target}" if program.kind == "module" else shlex.quote(shorten(program.target))


def shorten(file: str) -> str:
    """Return ``file`` as a user in the current folder would name it."""
    if file.startswith("<"):
        return file
    try:
        relative = os.path.relpath(file)
    except OSError:  # the current folder is gone
        return file
    return file if relative.startswith("..") else relative


def subject_of(program: Program | None, arguments: Sequence[str], folder: Path | None = None) -> Subject:
    """Return ``program`` as a subject; ``folder`` is the project's where the program itself does not tell."""
    path = tuple(entry for entry in search_path(program) if isinstance(entry, str))
    own: Path | None = None
    if program is None or program.kind == "code":
        own = None
    elif program.kind == "cells":
        own = program.folder
    elif program.kind == "module":
        top, *rest = program.target.split(".")
        base = find_top(top, path)
        if base is not None:
            whole = Path(base, *rest).resolve()
            own = whole if whole.is_dir() else whole.parent
    else:
        target = Path(program.target).resolve()
        own = target if program.kind == "directory" else target.parent
    own = own or folder or Path(current_folder() or "/")
    return Subject(program, tuple(arguments), own, path)


def assemble(
    subject: Subject,
    environ: Mapping[str, str],
    *,
    declared: tuple[Settings, Usage] | None = None,
    configured: Mapping[str, object] | None = None,
    start: Start | None = None,
    modules: Mapping[str, object] = sys.modules,
    restart: Literal["the kernel", "IPython"] | None = None,
    is_part: bool = False,
    open_cache: Callable[[Path], None] | None = None,
    is_one_process: bool = True,
) -> Planned:
    """Return the plan for ``subject`` in ``environ``.

    ``declared`` stands for the settings, which are read otherwise; ``configured`` are those of `configure`.
    ``start`` is given in the program's own process, where the variables that it assigns are set already.
    ``is_part``: the process runs parts of another one's program and keeps that one's plan. ``open_cache``
    makes the folder for compiled programs, or raises OSError; without it the folder is only named. Where the
    plan is to serve other processes (``is_one_process`` False) there is none: nobody verifies it for them.

    Raises `autoxla.settings.BadSettingError`.
    """
    # What a parent set for its own program, such as AUTOXLA_KERAS, is no choice for this one.
    view = dict(environ) if is_part else restore(environ)[0]
    settings, usage = declared or read_settings(subject.folder, view, configured)
    cache = cache_dir(environ)
    stores: list[Store] = []
    reading = read_subject(subject)
    situation = survey(settings, usage, environ, path=subject.path, modules=modules, is_part=is_part)
    # Workers of one job must not differ by what each machine remembers.
    is_alone = not (is_part or restart or is_of_many(environ))
    is_early = situation.imported <= {start.name if start is not None else None}
    may_cure = is_alone and is_early and settings.mode in ("fix", "auto")
    if may_cure and (key := key_of(subject)) is not None and has_record(cache / "cures", key):
        from autoxla.cures import open_cures

        kept = open_cures(environ)
        stores.append(kept)
        view |= {} if start is not None else list_assigned(reading)
        situation = _cure(subject, situation, reading, view, kept)
    situation = with_reading(situation, reading, start, subject.path)
    situation = replace(situation, restart=restart)
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
    plan = replace(plan, findings=told)
    return Planned(situation, plan, (*told, *left_out))


def _cure(
    subject: Subject, situation: Situation, reading: Reading, environ: Mapping[str, str], kept: Store
) -> Situation:
    """Return ``situation`` as what cures the program makes it, where a cure is kept and may be used."""
    # Few programs need one.
    from autoxla import cures

    if cures.UNCURED in environ:
        return situation
    recalled = cures.recall(subject, add_reading(situation, reading, subject.path), environ, kept)
    situation, cure = replace(situation, cure=recalled.cure, uncured=recalled.uncured), recalled.cure
    if cure is None or situation.uncured:
        return situation
    settings, changed = cures.use(cure, situation.settings, environ)
    if cure.variables.keys().isdisjoint(("KERAS_HOME", "TF_XLA_FLAGS", "XLA_FLAGS")):
        situation = replace(situation, settings=settings, environment=select_watched(changed))
    else:
        situation = survey(settings, situation.usage, changed, path=subject.path)
    return replace(situation, own=frozenset(cure.variables), cure=cure)


def survey(
    settings: Settings,
    usage: Usage,
    environ: Mapping[str, str],
    *,
    path: Sequence[str],
    modules: Mapping[str, object] = sys.modules,
    is_part: bool = False,
) -> Situation:
    """Return the situation in which any program would start here, nothing known of it yet."""
    # A worker of one program keeps that program's plan, which it inherited with the variables.
    view = {name: value for name, value in environ.items() if name != APPLIED or not is_part}
    situation = gather(settings, usage, environ=view, modules=modules, path=path, sites=site_folders())
    if not is_part:
        return situation
    # Where only a spelling was put right, the choice is the user's as before.
    respelt = {
        name
        for name, (old, new) in remembered(environ).items()
        if old and new and intended(old) is not None and intended(old) == intended(new)
    }
    return replace(situation, own=(restore(environ)[1] & frozenset(view)) - respelt)


def with_reading(
    situation: Situation, reading: Reading, start: Start | None, path: Sequence[str]
) -> Situation:
    """Return ``situation`` for the program that was read, at its first import of a backend.

    Where the program does not run in this process (``start`` None), what it certainly assigns to a variable
    before that import is the user's choice as if it stood in the environment.
    """
    situation = add_reading(situation, reading, path)
    certain = [e for e in reading.evidence if e.grade == "certain"]
    imports = (e for e in certain if e.kind == "import")
    first = next((e for e in imports if any(is_below(e.name, name) for name in WATCHED)), None)
    if start is None:
        start = Start(None if first is None else first.name.split(".")[0], None)
        assigned = list_assigned(reading)
        situation = replace(situation, environment={**situation.environment, **assigned})
        if not assigned.keys().isdisjoint(("TF_XLA_FLAGS", "XLA_FLAGS")):
            names = read_flag_names(situation.environment, situation.flag_files, path)
            situation = replace(situation, flag_names=names)
    place = start.place
    # The source tells the column, too.
    if first is not None and (
        place is None or (place.file, place.line) == (first.place.file, first.place.line)
    ):
        place = first.place
    usage = situation.usage
    evidence = dict(usage.evidence)
    if place is not None:
        evidence.setdefault("importing", place)
    # A bare keras is a generation.
    generation = _GENERATIONS.get(start.name or "") if usage.keras is None else usage.keras
    if generation is not None and usage.keras is None and place is not None:
        evidence["keras"] = place
    return replace(
        situation,
        usage=replace(usage, keras=generation, evidence=evidence),
        importing=start.name,
        imported=situation.imported - {start.name},
    )


def add_reading(situation: Situation, reading: Reading, path: Sequence[str]) -> Situation:
    """Return ``situation`` with what the program's source says, and the packages that it names."""
    tops = {e.name.split(".")[0] for e in reading.evidence if e.kind == "import"} - KERAS_FREE - _BACKENDS
    known: dict[str, str] = {}
    if tops:
        from autoxla.policies.packages import PACKAGES

        known = {p.module.split(".")[0]: p.distribution for p in PACKAGES}
    versions = {**situation.versions, **look_up(sorted(known[top] for top in tops if top in known), path)}
    unknown = sorted(tops - known.keys())
    saved: Mapping[str, Saved] = {}
    if any(each.kind == "loads" for each in reading.evidence):
        from autoxla.situation.saved_files import find_loaded

        saved = find_loaded(reading.evidence)
    return replace(
        situation,
        versions=versions,
        reading=reading,
        saved=saved,
        usage=summarise(reading, versions, situation.usage),
        requiring_keras_2=find_requiring(unknown, "tf-keras", path),
    )


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


def read_subject(subject: Subject) -> Reading:
    """Return what the source of the program says."""
    return Reading() if subject.program is None else read_program(subject.program)
