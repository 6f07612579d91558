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


def printable(text: str) -> str:
    """Return ``text``, in which file names stand, without what would move the cursor or break the line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def write(stream: "TextIO", text: str) -> None:
    """Write ``text``, all of it or nothing. Raises what the stream raises.

    What could not be written must not stay in the stream's buffer: it would fail once more when the
    interpreter ends, and change the status of the program.
    """
    if stream is not sys.__stderr__:
        stream.write(text)
        return
    stream.flush()
    os.write(stream.fileno(), text.encode(stream.encoding, "backslashreplace"))


def _write(stream: "TextIO", where: str, error: Exception) -> None:
    text = " ".join(f"{where}: {type(error).__name__}: {error}".split())
    more = "the program runs on without it, AUTOXLA_DEBUG=1 says more"
    write(stream, f"autoxla: AX901 error {printable(text)}; {more}\n")


def _write_traceback(stream: "TextIO", error: Exception) -> None:
    # Not sys.excepthook: a program's own one may well end the process or report to somebody.
    import traceback

    write(stream, "".join(traceback.format_exception(type(error), error, error.__traceback__)))
