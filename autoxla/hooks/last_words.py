"""What is learned and said when nobody caught an error and the program dies of it. Loads with the death."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from autoxla import WATCHED, cures
from autoxla.lookahead.program import read_command
from autoxla.model import Cure, Finding, Place, Situation
from autoxla.notice import notify
from autoxla.planning import WATCH
from autoxla.policies import decide
from autoxla.policies.cures import name_settings, shape_of
from autoxla.running import is_worker, running_subject
from autoxla.runtime import Runtime, current
from autoxla.situation.cluster import is_of_many
from autoxla.situation.environment import read_environ

if TYPE_CHECKING:
    from autoxla.hooks.error_hints import Hint

#: Errors whose message names what was missing, where no code of that package is on the traceback.
_NAMING = (AttributeError, ImportError, KeyError, TypeError)
#: Frames of a traceback, and characters of a message, that are looked at.
_DEEPEST, _LONGEST = 200, 200
#: How errors begin or go on over a file that is not there, which no setting brings.
_MISSING = re.compile("File not found|No such file or directory|^File .* does not exist")


def conclude(links: Sequence[BaseException], hint: Hint | None) -> None:
    """Learn what cures the program, or drop what did not, and say so; else say what to try.

    ``links`` are the error and those that it came from, ``hint`` is what is known of it.
    """
    runtime, environ = current(), read_environ()
    situation = runtime.situation
    if situation is None or situation.settings.mode == "observe" or cures.UNCURED in environ:
        return
    setting = None if hint is None else hint.setting
    if situation.restart is not None:
        if setting:
            lines = " and ".join(f"%env {name}={value}" for name, value in setting.items())
            notify(f"{lines} in front of the first cell, after a restart of {situation.restart}, cures this")
        return
    # Workers of one job must not differ by what each machine remembers.
    if is_worker() or is_of_many(environ):
        return
    is_involved = any(map(_is_of_backend, links))
    mark = f"{type(links[0]).__name__}: {_text(links[0])}".partition("\n")[0][:_LONGEST]
    cure = None if situation.uncured else situation.cure
    if cure is not None:
        if is_involved or hint is not None:
            is_same = hint is not None and hint.code == cure.code and shape_of(mark) == shape_of(cure.mark)
            # Another death says nothing of what a run learned.
            if is_same or cure.origin == "heal":
                _drop(runtime, situation, cure)
    elif hint is not None and setting:
        _learn(runtime, situation, Cure(dict(setting), mark, "learned", hint.code))
    elif (
        hint is None
        and is_involved
        # The launcher heals it by itself.
        and WATCH not in environ
        and not any(isinstance(e, FileNotFoundError) or _MISSING.search(_text(e)) for e in links)
        and _may_be_healed(runtime, situation)
        and cures.is_first(environ, "heal")
    ):
        _, _, arguments = read_command(sys.orig_argv)
        words = " ".join(["python -m autoxla heal", str(runtime.program), *map(shlex.quote, arguments)])
        notify(f"{words} tries the settings under which it may run")


def _drop(runtime: Runtime, situation: Situation, cure: Cure) -> None:
    """Drop the cure under which the program died, for good where a run had only learned it."""
    for_good = cure.origin == "learned"
    with suppress(OSError):
        cures.drop(running_subject(), situation, read_environ(), for_good=for_good)
        message = f"the program died under {name_settings(cure.variables)}, which had cured it"
        remedy = f"that is dropped{' for good' if for_good else ''}, and the next run starts without it"
        runtime.add_finding(Finding("AX913", "warning", message, remedy, Place(cure.program), applied=True))


def _learn(runtime: Runtime, situation: Situation, cure: Cure) -> None:
    """Keep ``cure`` where it changes what the program runs on, and is not the user's to choose."""
    settings, environment = cures.use(cure, situation.settings, situation.environment)
    there = decide(replace(situation, settings=settings, environment=environment))
    now = runtime.plan
    is_other = (there.path, there.alias, there.settings) != (now.path, now.alias, now.settings)
    is_worse = any(f.level == "error" and f not in now.findings for f in there.findings)
    if situation.imported or not is_other or is_worse:
        return
    subject = running_subject()
    # A cache that cannot be written is lost, and nothing else.
    with suppress(OSError):
        if cures.keep(subject, situation, cure, read_environ()) is not None:
            message = f"{cure.code} is cured by {name_settings(cure.variables)}"
            place = Place(cures.name_subject(subject))
            remedy = "the next run starts with it"
            runtime.add_finding(Finding("AX914", "info", message, remedy, place, applied=True))


def _may_be_healed(runtime: Runtime, situation: Situation) -> bool:
    """Return whether nothing explains the death so far, and there is a setting to try."""
    settings, environment = situation.settings, situation.environment
    is_explained = any(f.level == "error" and not f.applied for f in runtime.findings)
    has_other_keras = "tf-keras" in situation.versions and settings.keras is None
    return (
        bool(runtime.program)
        and not is_explained
        and (
            (has_other_keras and "TF_USE_LEGACY_KERAS" not in environment)
            or (len(situation.backends) > 1 and "KERAS_BACKEND" not in environment)
            or ("tensorflow" in situation.versions and settings.step is None)
        )
    )


def _text(error: BaseException) -> str:
    """Return the message of ``error``, empty where its own ``__str__`` raises."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it may raise anything
        return ""


def _is_of_backend(error: BaseException) -> bool:
    """Return whether code of Keras or TensorFlow raised ``error``, let it through, or is what it misses."""
    if isinstance(error, _NAMING) and any(name in _text(error) for name in ("keras", "tensorflow")):
        return True
    trace, modules = error.__traceback__, [type(error).__module__]
    while trace is not None and len(modules) < _DEEPEST:
        modules.append(str(trace.tb_frame.f_globals.get("__name__")))
        trace = trace.tb_next
    return any(module.partition(".")[0] in WATCHED for module in modules)
