"""What is learned and said when nobody caught an error and the program dies of it. Loads with the death."""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import suppress
from dataclasses import replace

from autoxla import WATCHED, cures
from autoxla.hooks.error_hints import HAS_NOTES, Hint, list_chain
from autoxla.hooks.other_generation import list_frames, name_module
from autoxla.lookahead.program import read_command
from autoxla.model import Cure, Finding, Place, Situation
from autoxla.notice import notify
from autoxla.planning import WATCH
from autoxla.policies import decide
from autoxla.policies.cures import name_settings, shape_of
from autoxla.running import is_worker, running_subject
from autoxla.runtime import current
from autoxla.situation.cluster import is_of_many
from autoxla.situation.environment import UNCURED, read_environ

#: Errors whose message names what was missing, where no code of that package is on the traceback.
_NAMING = (AttributeError, ImportError, KeyError, TypeError)
#: Characters of a message that are kept.
_LONGEST = 200
#: How errors begin or go on over a file that is not there, which no setting brings.
_MISSING = re.compile("File not found|No such file or directory|^File .* does not exist")


def conclude(error: BaseException, hint: Hint | None) -> None:
    """Learn what cures the program, or drop what did not, and say so; else say what to try.

    ``hint`` is what is known of ``error``. It is said here where exceptions have no notes.
    """
    if hint is not None and not HAS_NOTES:
        notify(str(hint))
    runtime, environ = current(), read_environ()
    situation = runtime.situation
    if situation is None or situation.settings.mode == "observe" or UNCURED in environ:
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
    links = list(list_chain(error))
    is_involved = any(map(_is_of_backend, links))
    mark = f"{type(error).__name__}: {_text(error)}".partition("\n")[0][:_LONGEST]
    cure = None if situation.uncured else situation.cure
    if cure is not None:
        is_same = hint is not None and hint.code == cure.code and shape_of(mark) == shape_of(cure.mark)
        # Another death says nothing of what a run learned, and one of the program's own nothing at all.
        if is_same or (cure.origin == "heal" and (is_involved or hint is not None)):
            _drop(situation, cure)
    elif hint is not None and setting:
        _learn(situation, Cure(dict(setting), mark, "learned", hint.code))
    elif (
        hint is None
        and is_involved
        # The launcher heals it by itself.
        and WATCH not in environ
        and not any(isinstance(e, FileNotFoundError) or _MISSING.search(_text(e)) for e in links)
        and _may_be_healed(situation)
        and cures.is_first(environ, "heal")
    ):
        _, _, arguments = read_command(sys.orig_argv)
        words = " ".join(["python -m autoxla heal", str(runtime.program), *map(shlex.quote, arguments)])
        notify(f"{words} tries the settings under which it may run")


def _drop(situation: Situation, cure: Cure) -> None:
    """Drop the cure under which the program died, for good: only heal may find it again."""
    if not cures.drop(running_subject(), situation, read_environ()):
        return
    message = f"the program died under {name_settings(cure.variables)}, which had cured it"
    remedy = "that is dropped for good, and the next run starts without it"
    current().add_finding(Finding("AX913", "warning", message, remedy, Place(cure.program), applied=True))


def _learn(situation: Situation, cure: Cure) -> None:
    """Keep ``cure`` where it changes what the program runs on, and is not the user's to choose."""
    settings, environment = cures.use(cure, situation.settings, situation.environment)
    there = decide(replace(situation, settings=settings, environment=environment))
    now, subject = current().plan, running_subject()
    is_other = (there.path, there.alias, there.settings) != (now.path, now.alias, now.settings)
    is_worse = any(f.level == "error" and f not in now.findings for f in there.findings)
    if situation.imported or not is_other or is_worse:
        return
    with suppress(OSError):
        if cures.keep(subject, situation, cure, read_environ()) is not None:
            message = f"{cure.code} is cured by {name_settings(cure.variables)}"
            place, remedy = Place(cures.name_subject(subject)), "the next run starts with it"
            current().add_finding(Finding("AX914", "info", message, remedy, place, applied=True))


def _may_be_healed(situation: Situation) -> bool:
    """Return whether nothing explains the death so far, and there is a setting to try."""
    runtime, settings, environment = current(), situation.settings, situation.environment
    if not runtime.program or any(f.level == "error" and not f.applied for f in runtime.findings):
        return False
    has_other_keras = "tf-keras" in situation.versions and settings.keras is None
    return (
        (has_other_keras and "TF_USE_LEGACY_KERAS" not in environment)
        or (len(situation.backends) > 1 and "KERAS_BACKEND" not in environment)
        or ("tensorflow" in situation.versions and settings.step is None)
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
    modules = [type(error).__module__, *map(name_module, list_frames(error))]
    return any(module.partition(".")[0] in WATCHED for module in modules)
