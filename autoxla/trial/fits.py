"""A call of ``fit`` with a trial in it.

Between two fits a model has its own ``train_function``; what a trial found is kept with the model.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from autoxla.runtime import current
from autoxla.trial.compilations import Compilations
from autoxla.trial.driver import Driver, Fit

#: Where a model keeps its driver. Anywhere else, the driver's way to the model would keep both for ever.
_KEPT = "_autoxla_driver"
#: Where it keeps the ``train_function`` that Keras made for it: within a tuple, since a SavedModel would
#: have a function that is an attribute, and trace it anew.
_MADE = "_autoxla_made"


class UnderWay(list[Fit]):
    """The fits that are under way in this process, the innermost of a model last."""


def begin(wrapped: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Fit:
    """Begin with a call of ``fit``, the function ``wrapped``."""
    try:
        bound = inspect.signature(wrapped).bind(*args, **kwargs)
    except (TypeError, ValueError):
        asked: Mapping[str, Any] = {}
    else:
        bound.apply_defaults()
        asked = bound.arguments
    fit = Fit(args[0] if args else None, asked)
    current().of(UnderWay).append(fit)
    return fit


def end(fit: Fit) -> None:
    """End with ``fit``."""
    with suppress(ValueError):  # none is under way any more where autoxla was uninstalled meanwhile
        current().of(UnderWay).remove(fit)
    for each in (fit.driver, fit.compilations):
        if each is not None:
            each.close()


def put_in(model: Any, before: Any) -> Driver | Compilations | None:
    """Put a driver into ``model``, whose ``train_function`` was ``before`` until it was asked to make one.

    Where its program chose XLA there is nothing to compare, but to count.
    """
    made = getattr(model, "train_function", None)
    if made is not None and made is not before and not isinstance(made, Driver):
        vars(model)[_MADE] = (made,)
    fits = [each for each in current().of(UnderWay) if each.model is model]
    if not fits or fits[-1].driver is not None:
        return None
    # One that the program assigned itself is its own.
    (own,) = vars(model).get(_MADE, (None,))
    if made is None or made is not own:
        return None
    if model not in current().left_open:
        if made is before or getattr(model, "jit_compile", None) is not True:
            return None
        fits[-1].compilations = model.train_function = Compilations(model, made)
        return fits[-1].compilations
    driver: Driver | None = vars(model).get(_KEPT)
    if driver is None or driver.stock is not made:
        driver = vars(model)[_KEPT] = Driver(model, made, current())
    if not driver.is_final:
        driver.open(fits[-1])
    if driver.is_final:
        return None
    fits[-1].driver = driver
    model.train_function = driver
    return driver
