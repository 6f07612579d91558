"""What nobody caught: an exception gets a note on its way out of the program, and then there are last words.

`register` wraps ``sys.excepthook`` and ``threading.excepthook``, and in a notebook what shows the error of a
cell. Type, arguments and traceback of the exception stay as they are. What there is to say of an error loads
with the first one.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autoxla.hooks.finder import attempt
from autoxla.runtime import Runtime

if TYPE_CHECKING:
    from autoxla.hooks.error_hints import Hint


def register(runtime: Runtime) -> None:
    """Stand before what shows an error that is uncaught: in the main thread, in another one, in a cell."""
    shell = getattr(sys.modules.get("IPython.core.interactiveshell"), "InteractiveShell", None)
    for owner, name in ((sys, "excepthook"), (threading, "excepthook"), (shell, "showtraceback")):
        runtime.wrap(owner, name, _show)


def _show(wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Add the note before the error is shown, and say and learn behind it what else there is."""
    # `sys` hands on the error itself, `threading` what has it, and IPython is handling it.
    errors = (*args, *(getattr(each, "exc_value", None) for each in args), sys.exc_info()[1])
    error = next((each for each in errors if isinstance(each, BaseException)), None)
    if not isinstance(error, Exception):
        return wrapped(*args, **kwargs)

    def add_note() -> Hint | None:
        from autoxla.hooks import error_hints

        return error_hints.add_note(error)

    def conclude() -> None:
        from autoxla.hooks import last_words

        last_words.conclude(error, hint)

    hint = attempt("hint on an error", add_note)
    try:
        return wrapped(*args, **kwargs)
    finally:
        attempt("last words", conclude)
