"""Saying that autoxla itself failed: one line, and the program goes on without it."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def say(where: str, error: Exception, *, first: bool) -> None:
    """Print one line on stderr for the first fault of a process, a traceback with ``AUTOXLA_DEBUG=1``."""
    debug = bool(os.environ.get("AUTOXLA_DEBUG"))
    if sys.stderr is None or not (first or debug):
        return
    try:
        _write(sys.stderr, where, error)
        if debug:
            _write_traceback(sys.stderr, error)
    except Exception:  # noqa: BLE001  stderr is closed or no file, or the error has no text: nobody to tell
        return


def _write(stream: "TextIO", where: str, error: Exception) -> None:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    stream.write(
        f"autoxla: AX901 error {where}: {text}; the program runs on without it, AUTOXLA_DEBUG=1 says more\n"
    )


def _write_traceback(stream: "TextIO", error: Exception) -> None:
    # Not sys.excepthook: a program's own one may well end the process or report to somebody.
    import traceback

    traceback.print_exception(type(error), error, error.__traceback__, file=stream)
