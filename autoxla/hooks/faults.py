"""Saying that autoxla itself failed: one line, and the program goes on without it."""

import os
import sys


def say(where: str, error: Exception, *, first: bool) -> None:
    """Print one line on stderr for the first fault of a process, a traceback with ``AUTOXLA_DEBUG=1``."""
    debug = bool(os.environ.get("AUTOXLA_DEBUG"))
    stream = sys.stderr
    if stream is None or not (first or debug):
        return
    text = f"{type(error).__name__}: {error}".replace("\n", " ")
    try:
        stream.write(
            f"autoxla: AX901 error {where}: {text}; the program runs on without it, AUTOXLA_DEBUG=1 says more\n"
        )
        if debug:
            sys.excepthook(type(error), error, error.__traceback__)
    except (OSError, ValueError):
        return  # stderr is closed or gone: there is nobody left to tell
