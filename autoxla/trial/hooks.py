"""The wrappers of ``fit`` and ``make_train_function``, which load with their first call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from autoxla.hooks.finder import attempt
from autoxla.hooks.wrapping import Wrapper
from autoxla.trial import fits


def find_wrapper(name: str) -> Wrapper:
    """Return the wrapper of the method ``name``."""
    return {"fit": _fit, "make_train_function": _make_train_function}[name]


def _fit(wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    fit = attempt("trial", fits.begin, wrapped, args, kwargs)
    try:
        with ExitStack() as hidden:
            attempt("frames", _hide_frames, hidden)
            return wrapped(*args, **kwargs)
    finally:
        # First of all the model gets its own function back, whatever else fails.
        if fit is not None:
            ours = fit.driver or fit.compilations
            is_there = getattr(fit.model, "train_function", None) is ours
            if ours is not None and is_there:
                fit.model.train_function = ours.stock
            attempt("trial", fits.end, fit)


def _hide_frames(until: ExitStack) -> None:
    """Have TensorFlow leave autoxla out of the stacks that it shows with its errors, ``until`` is closed."""
    stacks = sys.modules.get("tensorflow.python.util.tf_stack")
    if not hasattr(stacks, "StackTraceFilter"):
        return
    ours = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "autoxla"]
    files = frozenset(str(getattr(module, "__file__", "")) for module in ours)

    class OursFilter(stacks.StackTraceFilter):  # type: ignore[misc, name-defined]
        """Leaves out these files, and those that are left out already."""

        def get_filtered_filenames(self) -> frozenset[str]:
            """Return the names of the files."""
            return files | frozenset(self.parent.get_filtered_filenames())

    until.enter_context(OursFilter())


def _make_train_function(
    wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    model = args[0] if args else None
    before = getattr(model, "train_function", None)
    result = wrapped(*args, **kwargs)
    driver = attempt("trial", fits.put_in, model, before)
    # Keras 2 assigns what is returned here, Keras 3 does not look at it.
    return result if result is None or driver is None else driver
