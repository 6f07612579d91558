"""What is hung on Keras 3 because it leaves undone what Keras 2 did, without an error.

`autoxla.hooks.undone` tells of it, and loads with the first that there may be to tell.
"""

from __future__ import annotations

from functools import wraps
from types import ModuleType
from typing import Any

from autoxla.hooks.finder import attempt
from autoxla.hooks.keras_internals import SET_IN_VAIN, SILENT
from autoxla.hooks.wrapping import WrappedFunction, behind, leave_no_frame
from autoxla.runtime import current

_WHERE = "search for what Keras 3 leaves undone"


def hook(module: ModuleType) -> None:
    """Wrap what Keras 3 has in ``module``."""
    runtime = current()
    for owner in {owner for owner, _ in SET_IN_VAIN.values()} & vars(module).keys():
        _watch(getattr(module, owner))
    trainer: Any = getattr(module, "Trainer", None)
    names = getattr(trainer, "metrics_names", None)
    if isinstance(names, property) and names.fget is not None:
        trainer.metrics_names = property(WrappedFunction(names.fget, _look_at_names), doc=names.__doc__)
        runtime.on_uninstall(lambda: setattr(trainer, "metrics_names", names))
    if module.__name__ == SILENT[-1]:
        for function in ("load_model", "load_weights"):
            runtime.wrap(module, function, _look_at_loaded)


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
            attempt(_WHERE, leave_no_frame, error)
            raise
        if name in SET_IN_VAIN:
            attempt(_WHERE, lambda: _load_undone().tell_set(self, name, value))

    owner.__setattr__ = __setattr__
    current().on_uninstall(lambda: setattr(owner, "__setattr__", original))


def _load_undone() -> ModuleType:
    # Inside the boundary: autoxla may have been taken away since the program began.
    from autoxla.hooks import undone

    return undone


_look_at_names = behind(
    _WHERE, lambda names, _, __: "compile_metrics" in names and _load_undone().tell_names()
)
_look_at_loaded = behind(_WHERE, lambda *call: _load_undone().tell_loaded(*call))
