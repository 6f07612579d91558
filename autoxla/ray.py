"""autoxla on a Ray cluster: `runtime_env` configures tasks, actors and the workers of Ray Train.

    ray.init(runtime_env=autoxla.ray.runtime_env())

The driver's plan travels as environment variables, which Ray sets before a worker's interpreter
starts, so that nothing is imported earlier. ``worker_process_setup_hook`` stays the user's: there is
but one, and it runs later. This module never imports ray.

Known limits: a variable that the plan takes away cannot travel, since Ray only sets variables; each
worker takes it away by itself. Ray expands ``$NAME`` in values.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import autoxla
from autoxla.commands.env import changes
from autoxla.commands.site import site_folders
from autoxla.launch.launcher import PRIVATE
from autoxla.notice import say
from autoxla.planning import assemble, declare
from autoxla.running import name_command, name_program, running_subject, subject_from
from autoxla.runtime import current, say_plan
from autoxla.settings import VARIABLES, BadSettingError
from autoxla.situation.environment import ROOT, WATCHED_PREFIX, read_environ

#: What chooses an execution path on any machine, unlike paths and devices.
_CHOICES = ("KERAS_BACKEND", "TF_USE_LEGACY_KERAS", "TF_XLA_FLAGS")


def runtime_env(script: str | os.PathLike[str] | None = None, **runtime_env: object) -> dict[str, object]:
    """Return a runtime environment for ``ray.init`` whose workers run on this driver's plan.

    ``script`` is the program to plan for, this one by default. ``runtime_env`` are the fields of a
    Ray runtime environment; they stay as they are, and of two values in ``env_vars`` theirs counts.
    Every node needs autoxla: installed, by ``pip`` in ``runtime_env``, or as the same checkout at the
    same path. What the plan finds is said here, not by the workers. Without autoxla (mode ``off``, or
    a setting that cannot be read, which is said) the fields come back alone.

    Raises FileNotFoundError where there is no ``script``, TypeError where ``env_vars`` is no mapping.
    """
    theirs = runtime_env.get("env_vars") or {}
    if not isinstance(theirs, Mapping):
        raise TypeError(f"env_vars={theirs!r}: Ray takes a dict of strings")
    if script is not None and not Path(script).exists():
        raise FileNotFoundError(f"{script}: there is no such file")
    # A worker is a new process, whatever this one has imported: its variables are still to be set there.
    environ, runtime = read_environ(), current()
    try:
        subject = running_subject() if script is None else subject_from([os.fspath(script)])
        declared = declare(subject, environ, runtime.configured)
        planned = assemble(subject, environ, declared=declared, is_one_process=False)
    except BadSettingError as error:
        say(f"{error}; the workers run without autoxla")
        return runtime_env
    situation = planned.situation
    if situation.settings.mode == "off":
        return runtime_env
    # What was found is said of another program, and of this one once.
    if script is not None:
        say_plan(planned, name_command(subject.program))
    elif not runtime.began and not runtime.is_announced:
        runtime.is_announced = True
        say_plan(planned, name_program())
    # What the user chose of the path: a node may have been started without.
    variables = {
        name: value
        for name, value in situation.environment.items()
        if name in _CHOICES or name.startswith(WATCHED_PREFIX)
    }
    # What makes a worker active, quiet and bound to the driver's settings.
    variables |= {"AUTOXLA_ACTIVE": "1", ROOT: environ.get(ROOT, str(os.getpid()))}
    settings = situation.settings
    for name, variable in VARIABLES.items():
        value = getattr(settings, name)
        # To ask for trials by name is more than to have them by default.
        if value is not None and (name in settings.places or name != "trial"):
            variables[variable] = {True: "1", False: "0"}.get(value, value)
    if report := environ.get("AUTOXLA_REPORT"):
        variables["AUTOXLA_REPORT"] = str(Path(report).absolute())
    # The plan's variables and the memory of them, so that a worker knows whose they are.
    planned_values = changes(environ, planned.plan.settings)
    variables |= {name: value for name, value in planned_values.items() if value is not None}
    variables |= theirs
    # What starts autoxla from a checkout; an installed one has its own file for that.
    home = Path(autoxla.__file__).parent.parent
    if home not in site_folders() or not (home / "autoxla.pth").is_file():
        # Ray puts in what the worker's node has there, or nothing.
        variables["PYTHONPATH"] = os.pathsep.join([PRIVATE, theirs.get("PYTHONPATH", "${PYTHONPATH}")])
    return {**runtime_env, "env_vars": variables}
