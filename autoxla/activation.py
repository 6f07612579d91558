"""What happens when a watched module is about to execute: the plan is made, and what it needs is hung in.

The table of hooks is here, above all of them: each module of ours loads when its target is imported.
"""

from __future__ import annotations

import importlib
import sys
from functools import partial
from types import ModuleType

from autoxla.hooks import finder, uncaught
from autoxla.hooks.keras_internals import FUNCTIONS, KERAS_PACKAGES, SEEDS, SIGNS, SILENT, TARGETS, TRAINERS
from autoxla.planning import PROBE, WATCH
from autoxla.runtime import Runtime, current
from autoxla.situation.environment import read_environ, remembered

#: Module to wait for, module of ours that hooks it, function in that one.
METHOD_HOOKS = (
    *((module, "autoxla.hooks.keras", "hook") for module in dict.fromkeys(t.module for t in TARGETS)),
    *((package, "autoxla.hooks.keras", "hook_elsewhere") for package in KERAS_PACKAGES),
    ("tensorflow", "autoxla.hooks.keras", "hook_again"),
    *((module, "autoxla.hooks.keras", "hook_silent") for module in SILENT),
)
#: What watches a program for ``python -m autoxla tune``, in the place of a trial.
PROBE_HOOKS = (
    *((target.module, "autoxla.paths.probe", "hook") for target in TRAINERS),
    (FUNCTIONS, "autoxla.paths.probe", "hook_functions"),
    (SEEDS, "autoxla.paths.probe", "hook_seeds"),
)
#: What counts its batches for ``python -m autoxla heal``.
WATCH_HOOKS = tuple(
    (module, "autoxla.paths.probe", "hook_batches")
    for module in ("keras.src.callbacks.callback_list", "keras.src.callbacks", "tf_keras.src.callbacks")
)
#: What TensorFlow imports at the first use of ``tf.keras``.
_FIRST_USE = ("keras._tf_keras.keras", "tf_keras.api._v2.keras")


def begin(module: ModuleType | None) -> None:
    """Start on the first call; then do what has to be done before ``module`` executes (None: it has).

    Where other packages go first, they are imported while ``module`` is out of the way; an alias takes its
    place. What they import under its name is then a whole module; the finder sees that and does not execute
    ours a second time.
    """
    runtime, name = current(), None if module is None else module.__name__
    runtime.begin(name, install)
    finder.attempt("plan", runtime.note_read, name)
    if name is None or module is None:
        return
    alias = runtime.plan.alias.get(name)
    first = runtime.plan.import_first if name == "keras" and alias is None else ()
    if alias is None and (not first or any(other in sys.modules for other in first)):
        return
    sys.modules.pop(name, None)
    try:
        for other in first:
            importlib.import_module(other)
        if alias is not None:
            sys.modules[name] = importlib.import_module(alias)
    finally:
        sys.modules.setdefault(name, module)


def install(runtime: Runtime) -> None:
    """Hang in what the plan needs. In mode ``observe`` that is nothing but callbacks of our own finder."""
    for alias, target in runtime.plan.alias.items():
        from autoxla.hooks import alias as aliases

        runtime.on_uninstall(aliases.remove_aliases)
        aliases.install_alias(alias, target)
    situation = runtime.situation
    if situation is not None and situation.settings.mode != "observe":
        # Hints come in front of the import, since that itself may be what fails.
        finder.attempt("hooks", uncaught.register, runtime)
        finder.attempt("hooks", hook_keras, runtime)
    finder.attempt("hooks", look_later, runtime)


def hook_keras(runtime: Runtime) -> None:
    """Have each module of ours that hangs on Keras loaded when its target is imported."""

    def call(ours: str, function: str, module: ModuleType) -> None:
        getattr(importlib.import_module(ours), function)(module)

    environ = read_environ()
    asked = (*(PROBE_HOOKS if PROBE in environ else ()), *(WATCH_HOOKS if WATCH in environ else ()))
    for name, ours, function in (*METHOD_HOOKS, *asked):
        finder.on_import(name, partial(call, ours, function))

    def look_for_mixtures(_: ModuleType) -> None:
        if sum(sign in sys.modules for sign in SIGNS) >= 2:
            from autoxla.hooks import mixed_models

            mixed_models.register()

    for sign in SIGNS:
        finder.on_import(sign, look_for_mixtures)

    def add_version(module: ModuleType) -> None:
        # Programs print it, and Keras 2 has it as tf_keras only. Who turned the switch on himself knows that.
        if "TF_USE_LEGACY_KERAS" in remembered(read_environ()) and not hasattr(module, "__version__"):
            vars(module)["__version__"] = sys.modules["tf_keras"].__version__
            runtime.on_uninstall(lambda: vars(module).pop("__version__", None))

    finder.on_import(_FIRST_USE[1], add_version)


def look_later(runtime: Runtime) -> None:
    """Have the plan looked at again when more is known: at a cell, at an import."""
    if runtime.situation is not None and runtime.situation.restart is not None:
        from autoxla.hooks import notebook

        notebook.follow(runtime.check_cell)
    for module in _FIRST_USE:
        finder.on_import(module, lambda _: runtime.check_again())
    for finding in runtime.plan.findings:
        if finding.certain_with:
            finder.before_import(finding.certain_with, partial(runtime.confirm, finding))
