"""What nobody caught: an exception gets a note on its way out of the program, and then there are last words.

`register` chains ``sys.excepthook`` and ``threading.excepthook``, and in a notebook what shows the error of a
cell. Type, arguments and traceback of the exception stay as they are. What there is to say of an error loads
with the first one.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from autoxla.hooks.boundary import attempt
from autoxla.runtime import Runtime

if TYPE_CHECKING:
    from autoxla.hooks.error_hints import Hint


def register(runtime: Runtime) -> None:
    """Chain the hooks for what is uncaught, and IPython's, which shows by itself what a cell raises."""
    hooks = ExceptionHooks()
    hooks.install()
    runtime.on_uninstall(hooks.remove)
    shell = getattr(sys.modules.get("IPython.core.interactiveshell"), "InteractiveShell", None)
    runtime.wrap(shell, "showtraceback", _show)


def _show(wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    with _explained(sys.exc_info()[1]):
        return wrapped(*args, **kwargs)


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
        with _explained(error):
            self.main(kind, error, trace)

    def _except_in_thread(self, args: Any) -> None:
        with _explained(args.exc_value):
            self.thread(args)


@contextmanager
def _explained(error: BaseException | None) -> Iterator[None]:
    """Add the note before ``error`` is shown, and say and learn behind it what else there is."""
    if not isinstance(error, Exception):
        yield
        return

    def add_note() -> Hint | None:
        from autoxla.hooks import error_hints

        return error_hints.add_note(error)

    def conclude() -> None:
        from autoxla.hooks import last_words

        last_words.conclude(error, hint)

    hint = attempt("hint on an error", add_note)
    try:
        yield
    finally:
        attempt("last words", conclude)
