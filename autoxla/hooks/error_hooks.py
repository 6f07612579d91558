"""Sees the errors of Keras and of the program, and has a hint added to those that are known.

`register` wraps ``fit``, ``Sequential.add`` and the saving functions of every Keras that is imported, and
chains ``sys.excepthook`` and ``threading.excepthook`` for the errors that no wrapper sees. A wrapper adds a
note to an exception; type, arguments and traceback stay as they are, without a frame of ours. Up to Python
3.10 the frame remains, and exceptions have no notes: there the hint is a line on stderr that only an uncaught
exception gets, for a program that handles its errors shall not hear of them. (Without its C extension wrapt
leaves a frame of its own.)

Most programs never meet an error: `autoxla.hooks.error_hints` loads with the first one.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import ModuleType, TracebackType
from typing import Any

from autoxla.hooks import finder
from autoxla.hooks.boundary import attempt
from autoxla.hooks.keras_internals import FITS, SAVING, SEQUENTIALS
from autoxla.hooks.wrapping import hide_frames, leave_no_frame
from autoxla.runtime import Runtime, current


def register(runtime: Runtime) -> None:
    """Have the wrappers put on when their targets are imported, and chain the hooks for what is uncaught."""
    hooks = ExceptionHooks()
    hooks.install()
    runtime.on_uninstall(hooks.remove)
    for module in dict.fromkeys((*FITS, *SEQUENTIALS, *SAVING)):
        finder.on_import(module, hook)


def hook(module: ModuleType) -> None:
    """Wrap what Keras has in ``module``: functions before other modules import them from there."""
    runtime, name = current(), module.__name__
    if name in FITS:
        runtime.wrap(getattr(module, FITS[name], None), "fit", _call)
    if name in SEQUENTIALS:
        runtime.wrap(getattr(module, "Sequential", None), "add", _call)
    if name in SAVING:
        for function in ("load_model", "save_model", "load_weights", "save_weights"):
            runtime.wrap(module, function, _call)


def _call(wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    try:
        with ExitStack() as hidden:
            attempt("frames", hide_frames, hidden)
            return wrapped(*args, **kwargs)
    except Exception as error:
        attempt("hint on an error", add_note, error)
        attempt("hint on an error", leave_no_frame, error)
        raise


def add_note(error: BaseException) -> None:
    """See `autoxla.hooks.error_hints.add_note`."""
    from autoxla.hooks import error_hints

    error_hints.add_note(error)


class ExceptionHooks:
    """Lets uncaught exceptions have their hint, then go to the hooks that the program had before."""

    def __init__(self) -> None:
        self.main, self.thread = sys.excepthook, threading.excepthook

    def install(self) -> None:
        """Stand in front of the program's hooks."""
        sys.excepthook, threading.excepthook = self._except, self._except_in_thread

    def remove(self) -> None:
        """Put the program's hooks back, where ours are still in place."""
        if sys.excepthook == self._except:
            sys.excepthook = self.main
        if threading.excepthook == self._except_in_thread:
            threading.excepthook = self.thread

    def _except(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        line = attempt("hint on an error", _prepare, error)
        try:
            self.main(kind, error, trace)
        finally:
            if line is not None:
                attempt("hint on an error", _notify, line)

    def _except_in_thread(self, args: Any) -> None:
        line = attempt("hint on an error", _prepare, args.exc_value)
        try:
            self.thread(args)
        finally:
            if line is not None:
                attempt("hint on an error", _notify, line)


def _prepare(error: BaseException | None) -> str | None:
    if not isinstance(error, Exception):
        return None
    from autoxla.hooks import error_hints

    return error_hints.prepare(error)


def _notify(line: str) -> None:
    from autoxla.notice import notify

    notify(line)
