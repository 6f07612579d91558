"""Wrapping a function of a class or module so that nothing but its behaviour tells.

wrapt keeps name, documentation, signature and ``isinstance``; what it lacks for methods is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MethodType
from typing import Any, SupportsIndex

import wrapt

from autoxla.hooks.finder import attempt

#: Called with the wrapped function, None, and the arguments, of which a method's first is the object.
Wrapper = Callable[[Callable[..., Any], None, Sequence[Any], Mapping[str, Any]], Any]
#: What was wrapped: (class or module, name) to the function that was there before.
Wrapped = dict[tuple[Any, str], Any]


class WrappedFunction(wrapt.FunctionWrapper):  # type: ignore[misc, type-arg, unused-ignore]
    """A wrapped function that binds, copies and pickles as functions do.

    wrapt's own makes an object of its own kind of each ``Model.fit`` and ``model.fit``: none is itself,
    none can be pickled, copied or kept as a ``weakref.WeakMethod``.
    """

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str:
        return str(self.__qualname__)

    def __copy__(self) -> WrappedFunction:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> WrappedFunction:
        return self


def wrap(owner: Any, name: str, wrapper: Wrapper, kept: Wrapped) -> bool:
    """Wrap ``name`` of ``owner``, once; return False where there is no such function.

    ``kept`` gets what was there before, for `unwrap`. Several wrappers of ours may stand over each other.
    Where somebody else has wrapped them since, the result is wrapped again and ours is outermost.
    """
    function: Any = vars(owner).get(name) if owner is not None else None
    if not callable(function):
        return False
    inner = function
    while isinstance(inner, WrappedFunction):
        if inner._self_wrapper == wrapper:
            return True
        inner = inner.__wrapped__
    kept.setdefault((owner, name), function)
    setattr(owner, name, WrappedFunction(function, wrapper, lambda: (owner, name) in kept))
    return True


def unwrap(kept: Wrapped) -> None:
    """Put everything in ``kept`` back that nobody else wrapped since; the rest does nothing from now on."""
    for (owner, name), original in kept.items():
        function: Any = vars(owner).get(name)
        while isinstance(function, WrappedFunction) and function is not original:
            function = function.__wrapped__
        if function is original:
            setattr(owner, name, original)
    kept.clear()


def behind(where: str, then: Callable[[Any, Sequence[Any], Mapping[str, Any]], object]) -> Wrapper:
    """Return a wrapper that has ``then(result, args, kwargs)`` follow; ``where`` is what a fault is in."""

    def call(wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        try:
            result = wrapped(*args, **kwargs)
        except Exception as error:
            attempt(where, leave_no_frame, error)
            raise
        attempt(where, then, result, args, kwargs)
        return result

    return call


def leave_no_frame(error: BaseException) -> None:
    """Take the frames of wrappers off. PYVERSION: 3.10 does not look at this when it raises again."""
    trace = error.__traceback__
    while trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith("autoxla."):
        trace = trace.tb_next
    error.__traceback__ = trace
