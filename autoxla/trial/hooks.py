"""Putting a trial into a model's ``fit``: the wrappers of ``fit`` and ``make_train_function``.

Between two fits a model has its own ``train_function``; what a trial found is kept with the model.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from autoxla.hooks.boundary import attempt
from autoxla.hooks.compile import stand_aside
from autoxla.hooks.targets import of_module
from autoxla.hooks.wrapping import leave_no_frame
from autoxla.runtime import current
from autoxla.trial.driver import Driver

#: The fits that are under way, by the id of their model.
_fits: dict[int, Fit] = {}
#: Where a model keeps its driver. Anywhere else, the driver's way to the model would keep both for ever.
_KEPT = "_autoxla_driver"
#: Where it keeps the ``train_function`` that Keras made for it: within a tuple, since a SavedModel would
#: have a function that is an attribute, and trace it anew.
_MADE = "_autoxla_made"


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


@dataclass
class Fit:
    """A call of ``fit``: the epochs and the rows a batch that it was asked for, and the trial in it.

    `may_stop`: it ends when a callback finds that it is enough, whatever number of epochs was asked for.
    """

    model: Any
    epochs: int | None = None
    batch_size: int | None = None
    may_stop: bool = False
    driver: Driver | None = None

    def planned(self, done: int) -> int | None:
        """Return the steps that this fit is to have, None where that is not known after ``done`` steps."""
        if self.may_stop:
            return None
        history = getattr(self.model, "history", None)
        parameters = getattr(history, "params", None) or {}
        steps, finished = parameters.get("steps"), len(getattr(history, "epoch", ()))
        if not isinstance(steps, int) and finished:
            steps = done / finished
        if not isinstance(steps, int | float) or self.epochs is None or steps <= 0:
            return None
        return int(steps * self.epochs)


def _fit(wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    fit = attempt("trial", _read_call, wrapped, args, kwargs) or Fit(args[0] if args else None)
    outer = _fits.get(id(fit.model))
    _fits[id(fit.model)] = fit
    try:
        return wrapped(*args, **kwargs)
    except BaseException as error:
        attempt("trial", leave_no_frame, error)
        raise
    finally:
        if outer is None:
            _fits.pop(id(fit.model), None)
        else:
            _fits[id(fit.model)] = outer
        if fit.driver is not None:
            attempt("trial", _take_out, fit.model, fit.driver)


def _make_train_function(
    wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    model = args[0] if args else None
    before = getattr(model, "train_function", None)
    result = wrapped(*args, **kwargs)
    made = getattr(model, "train_function", None)
    if made is not None and made is not before and not isinstance(made, Driver):
        vars(model)[_MADE] = (made,)
    fit = _fits.get(id(model))
    if fit is None or fit.driver is not None:
        return result
    attempt("trial", _put_in, fit)
    # Keras 2 assigns what is returned here, Keras 3 does not look at it.
    return result if result is None or fit.driver is None else fit.driver


def _put_in(fit: Fit) -> None:
    model, session = fit.model, current()
    stock = getattr(model, "train_function", None)
    # One that the program assigned itself is its own.
    (made,) = vars(model).get(_MADE, (None,))
    if stock is None or stock is not made or model not in session.left_open:
        return
    driver = vars(model).get(_KEPT)
    if driver is None or driver.stock is not stock:
        driver = vars(model)[_KEPT] = Driver(model, stock, session)
    if driver.is_final:
        return
    driver.open(fit.planned, fit.batch_size)
    if driver.is_final:
        return
    fit.driver = driver
    model.train_function = driver


def _take_out(model: Any, driver: Driver) -> None:
    """End the fit for ``driver``, and give ``model`` its own function back."""
    try:
        driver.close()
    finally:
        if getattr(model, "train_function", None) is driver:
            model.train_function = driver.stock


def _read_call(wrapped: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Fit:
    model = args[0] if args else None
    try:
        bound = inspect.signature(wrapped).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return Fit(model)
    bound.apply_defaults()
    epochs, first, size = (bound.arguments.get(name) for name in ("epochs", "initial_epoch", "batch_size"))
    asked = epochs - first if isinstance(epochs, int) and isinstance(first, int) else None
    # Of arrays, Keras takes 32 rows where it is not told.
    is_array = hasattr(bound.arguments.get("x"), "__array__")
    callbacks = bound.arguments.get("callbacks")
    listed = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    may_stop = any(type(each).__name__ == "EarlyStopping" for each in listed)
    return Fit(model, asked, size if isinstance(size, int) else 32 if is_array else None, may_stop)
