"""What is hung on Keras when its modules are imported; what is hung there loads with the first call.

Where the methods are, release by release, is in `autoxla.hooks.keras_internals`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from types import ModuleType
from typing import Any

from autoxla.hooks.finder import attempt
from autoxla.hooks.keras_internals import SET_IN_VAIN, SILENT, TARGETS, Role, Target, of_module
from autoxla.hooks.wrapping import WrappedFunction, Wrapper, behind, leave_no_frame
from autoxla.model import Finding
from autoxla.runtime import current

#: The modules of ours with the wrappers of a role: each has `find_wrapper`.
_WRAPPERS: Mapping[Role, str] = {
    "compile": "autoxla.hooks.compile",
    "infer": "autoxla.hooks.compile",
    "predict": "autoxla.hooks.compile",
    "train": "autoxla.trial.hooks",
}
_UNDONE = "search for what Keras 3 leaves undone"


def hook(module: ModuleType, *roles: Role) -> None:
    """Wrap what a release of Keras has in ``module`` for ``roles``, by default all.

    ``predict`` is wrapped where ITEX guards it, what makes its function where the plan is XLA, what trains
    where there may be a trial.
    """
    runtime = current()
    settings = None if runtime.situation is None else runtime.situation.settings
    is_trying = settings is not None and settings.mode == "auto" and settings.trial
    for target in of_module(module, *(roles or ("compile", "infer", "predict", "train"))):
        wanted = {"infer": runtime.plan.jit_compile, "predict": runtime.plan.guard, "train": is_trying}
        is_wanted = bool(wanted.get(target.role, True))
        owner = target.find(module) if is_wanted else None
        if owner is not None:
            _wrap(owner, target)
        elif is_wanted:
            _stand_aside(target.lacking(getattr(module, target.owner, object)))


def hook_elsewhere(package: ModuleType) -> None:
    """Wrap what ``package``, a Keras that is imported now, has in a place where no release had it."""
    # A stub in its place, as for building documentation, may have neither name nor model.
    name, model = getattr(package, "__name__", ""), getattr(package, "Model", None)
    targets = [target for target in TARGETS if (target.package, target.role) == (name, "compile")]
    if not targets or not isinstance(model, type) or any(each.module in sys.modules for each in targets):
        return
    for target in targets:
        for base in model.__mro__:
            if not target.lacking(base):
                _wrap(base, target)
                return
    _stand_aside(("compile",))


def hook_again(_: ModuleType) -> None:
    """Be outermost again, after a plug-in put its own methods over ours while TensorFlow loaded."""
    for target in TARGETS:
        if target.role != "train" and target.since >= (3, 0) and target.module in sys.modules:
            hook(sys.modules[target.module], target.role)


def _wrap(owner: type, target: Target) -> None:
    for name in target.names:
        current().wrap(owner, name, _late(_WRAPPERS[target.role], name))


@cache
def _late(ours: str, name: str) -> Wrapper:
    """Return what calls the wrapper of the method ``name`` in the module ``ours``, loaded by then."""

    def call(wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        # Autoxla may have been taken away since the program began.
        wrapper = attempt(name, lambda: importlib.import_module(ours).find_wrapper(name))
        if wrapper is None:
            return wrapped(*args, **kwargs)
        try:
            return wrapper(wrapped, None, args, kwargs)
        except BaseException as error:
            attempt(name, leave_no_frame, error)
            raise

    return call


def _stand_aside(names: Sequence[str]) -> None:
    """Say that this release of Keras has no methods of these names for a hook; once, of the first."""
    if all(finding.code != "AX904" for finding in current().findings):
        methods = ", ".join(f"{name}()" for name in names)
        message = (
            f"this release of Keras has no {methods} where autoxla knows it; the program runs without them"
        )
        current().add_finding(Finding("AX904", "warning", message, "report the release of Keras"))


def hook_silent(module: ModuleType) -> None:
    """Wrap what Keras 3 has in ``module`` and leaves undone without an error."""
    runtime = current()
    for owner in {owner for owner, _ in SET_IN_VAIN.values()} & vars(module).keys():
        _watch(getattr(module, owner))
    trainer: Any = getattr(module, "Trainer", None)
    names = getattr(trainer, "metrics_names", None)
    if isinstance(names, property) and names.fget is not None:
        trainer.metrics_names = property(WrappedFunction(names.fget, _LOOK_AT_NAMES), doc=names.__doc__)
        runtime.on_uninstall(lambda: setattr(trainer, "metrics_names", names))
    if module.__name__ == SILENT[-1]:
        for function in ("load_model", "load_weights"):
            runtime.wrap(module, function, _LOOK_AT_LOADED)


def _watch(owner: Any) -> None:
    """Look at what is assigned to objects of ``owner``, a class of Keras.

    A layer that is called outside of a graph assigns to itself: a function costs it 40 ns, a wrapper 800.
    """
    original = vars(owner).get("__setattr__")
    if original is None:
        return

    @wraps(original)
    def __setattr__(self: Any, name: str, value: Any) -> None:  # noqa: N807 - the name shows in tracebacks
        try:
            original(self, name, value)
        except Exception as error:
            attempt(_UNDONE, leave_no_frame, error)
            raise
        if name in SET_IN_VAIN:
            attempt(_UNDONE, lambda: _load_silent().tell_set(self, name, value))

    owner.__setattr__ = __setattr__
    current().on_uninstall(lambda: setattr(owner, "__setattr__", original))


def _load_silent() -> ModuleType:
    from autoxla.hooks import silent

    return silent


_LOOK_AT_NAMES = behind(
    _UNDONE, lambda names, _, __: "compile_metrics" in names and _load_silent().tell_names()
)
_LOOK_AT_LOADED = behind(_UNDONE, lambda *call: _load_silent().tell_loaded(*call))
