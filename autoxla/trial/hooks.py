"""The wrappers of ``fit`` and ``make_train_function``. The trial itself is loaded with the first ``fit``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import ModuleType
from typing import Any

from autoxla.hooks.boundary import attempt
from autoxla.hooks.compile import stand_aside
from autoxla.hooks.keras_internals import of_module
from autoxla.hooks.wrapping import hide_frames, leave_no_frame
from autoxla.runtime import current


def hook(module: ModuleType) -> None:
    """Wrap ``fit`` and ``make_train_function`` of a model in ``module``.

    Where one of them is not, Keras is of another build, and there is no trial.
    """
    situation = current().situation
    if situation is None or situation.settings.mode != "auto" or not situation.settings.trial:
        return
    for target in of_module(module, "train"):
        owner = target.find(module)
        if owner is None:
            stand_aside(target.names)
            return
        current().wrap(owner, "make_train_function", _make_train_function)
        current().wrap(owner, "fit", _fit)


def _fit(wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    fit = attempt("trial", lambda: _load_fits().begin(wrapped, args, kwargs))
    try:
        with ExitStack() as hidden:
            attempt("frames", hide_frames, hidden)
            return wrapped(*args, **kwargs)
    except BaseException as error:
        attempt("trial", leave_no_frame, error)
        raise
    finally:
        # First of all the model gets its own function back, whatever else fails.
        if fit is not None:
            ours = fit.driver or fit.compilations
            is_there = getattr(fit.model, "train_function", None) is ours
            if ours is not None and is_there:
                fit.model.train_function = ours.stock
            attempt("trial", lambda: _load_fits().end(fit))


def _make_train_function(
    wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    model = args[0] if args else None
    before = getattr(model, "train_function", None)
    result = wrapped(*args, **kwargs)
    driver = attempt("trial", lambda: _load_fits().put_in(model, before))
    # Keras 2 assigns what is returned here, Keras 3 does not look at it.
    return result if result is None or driver is None else driver


def _load_fits() -> ModuleType:
    # Inside the boundary: autoxla may have been taken away since the program began.
    from autoxla.trial import fits

    return fits
