"""A call of ``fit`` with a trial in it.

Between two fits a model has its own ``train_function``; what a trial found is kept with the model.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from typing import Any

from autoxla.runtime import current
from autoxla.trial.driver import Driver

#: Where a model keeps its driver. Anywhere else, the driver's way to the model would keep both for ever.
_KEPT = "_autoxla_driver"
#: Where it keeps the ``train_function`` that Keras made for it: within a tuple, since a SavedModel would
#: have a function that is an attribute, and trace it anew.
_MADE = "_autoxla_made"


class UnderWay(dict[int, "Fit"]):
    """The fits that are under way in this process, by the id of their model."""


class Fit:
    """A call of ``fit``: the epochs and the rows a batch that it was asked for, and the trial in it."""

    def __init__(self, wrapped: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.model: Any = args[0] if args else None
        self.driver: Driver | None = None
        self._epochs: int | None = None
        self._batch_size: int | None = None
        self._may_stop = False
        self._read(wrapped, args, kwargs)
        self._hidden = ExitStack()
        self._hidden.enter_context(_hide_frames())
        self._outer = current().of(UnderWay).get(id(self.model))
        current().of(UnderWay)[id(self.model)] = self

    def put_in(self, stock: Any) -> Driver | None:
        """Put a driver into the place of ``stock``, the model's own, if there is something to try."""
        session = current()
        driver: Driver | None = vars(self.model).get(_KEPT)
        if driver is None or driver.stock is not stock:
            driver = vars(self.model)[_KEPT] = Driver(self.model, stock, session)
        if not driver.is_final:
            driver.open(self._planned, self._batch_size)
        if driver.is_final:
            return None
        self.driver = driver
        self.model.train_function = driver
        return driver

    def end(self) -> None:
        """End the trial for this fit, and give the model its own function back."""
        if self._outer is None:
            current().of(UnderWay).pop(id(self.model), None)
        else:
            current().of(UnderWay)[id(self.model)] = self._outer
        self._hidden.close()
        driver = self.driver
        if driver is None:
            return
        try:
            driver.close()
        finally:
            is_there = getattr(self.model, "train_function", None) is driver
            if is_there:
                self.model.train_function = driver.stock

    def _read(self, wrapped: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        try:
            bound = inspect.signature(wrapped).bind(*args, **kwargs)
        except (TypeError, ValueError):
            return
        bound.apply_defaults()
        epochs, first, size = (
            bound.arguments.get(name) for name in ("epochs", "initial_epoch", "batch_size")
        )
        if isinstance(epochs, int) and isinstance(first, int):
            self._epochs = epochs - first
        # Of arrays, Keras takes 32 rows where it is not told.
        is_array = hasattr(bound.arguments.get("x"), "__array__")
        self._batch_size = size if isinstance(size, int) else 32 if is_array else None
        callbacks = bound.arguments.get("callbacks")
        listed = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
        # Whatever number of epochs was asked for, it ends when that finds that it is enough.
        self._may_stop = any(type(each).__name__ == "EarlyStopping" for each in listed)

    def _planned(self, done: int) -> int | None:
        """Return the steps that this fit is to have, None where that is not known after ``done`` steps."""
        if self._may_stop:
            return None
        history = getattr(self.model, "history", None)
        parameters = getattr(history, "params", None) or {}
        steps, finished = parameters.get("steps"), len(getattr(history, "epoch", ()))
        if not isinstance(steps, int) and finished:
            steps = done / finished
        if not isinstance(steps, int | float) or self._epochs is None or steps <= 0:
            return None
        return int(steps * self._epochs)


#: Begin with a call of ``fit``.
begin = Fit


def put_in(model: Any, before: Any) -> Driver | None:
    """Put a driver into ``model``, whose ``train_function`` was ``before`` until it was asked to make one."""
    made = getattr(model, "train_function", None)
    if made is not None and made is not before and not isinstance(made, Driver):
        vars(model)[_MADE] = (made,)
    fit = current().of(UnderWay).get(id(model))
    if fit is None or fit.driver is not None:
        return None
    # One that the program assigned itself is its own.
    (own,) = vars(model).get(_MADE, (None,))
    if made is None or made is not own or model not in current().left_open:
        return None
    return fit.put_in(made)


def _hide_frames() -> Any:
    """Return a context in which TensorFlow leaves autoxla out of the stacks that it shows with its errors."""
    stacks = sys.modules.get("tensorflow.python.util.tf_stack")
    if not hasattr(stacks, "StackTraceFilter"):
        return nullcontext()
    ours = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "autoxla"]
    files = frozenset(str(getattr(module, "__file__", "")) for module in ours)

    class OursFilter(stacks.StackTraceFilter):  # type: ignore[misc, name-defined]
        """Leaves out these files, and those that are left out already."""

        def get_filtered_filenames(self) -> frozenset[str]:
            """Return the names of the files."""
            return files | frozenset(self.parent.get_filtered_filenames())

    return OursFilter()
