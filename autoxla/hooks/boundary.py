"""What becomes of a fault in autoxla, which never reaches the program (`autoxla.hooks.finder.attempt`).

It is kept for the report, and the first one of a process is said in one line on stderr.

Loaded in the middle of an import, so it imports ``os`` and ``sys`` only.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

#: How many faults are kept: one may come again at each step, or at each import.
MOST = 100


class Faults:
    """What failed in autoxla: ``kept`` has (where, exception), oldest first; ``left_out`` counts the rest."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, Exception]] = []
        self.left_out = 0


#: The faults of this process.
FAULTS = Faults()


def note_fault(where: str, error: Exception) -> None:
    """Keep a fault for the report and, the first time, say it in one line on stderr.

    Raises ``error`` where it is none: what the handler of a signal raised is the program's.
    """
    if is_of_a_signal(error):
        raise error
    if len(FAULTS.kept) < MOST:
        FAULTS.kept.append((where, error))
    else:
        FAULTS.left_out += 1
    say(where, error, first=len(FAULTS.kept) == 1)
    # Kept until the process ends, and with the traceback all that its frames refer to.
    error.__traceback__ = error.__context__ = error.__cause__ = None


def is_of_a_signal(error: Exception) -> bool:
    """Return whether the handler of a signal raised ``error`` in the midst of what ran."""
    signal = sys.modules.get("signal")
    if signal is None:
        return False
    handlers = [signal.getsignal(each) for each in signal.valid_signals()]
    codes = [handler.__code__ for handler in handlers if hasattr(handler, "__code__")]
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code not in codes:
        trace = trace.tb_next
    return trace is not None


def say(where: str, error: Exception, *, first: bool) -> None:
    """Print one line on stderr for the first fault of a process, a traceback with ``AUTOXLA_DEBUG=1``."""
    try:
        debug = bool(os.environ.get("AUTOXLA_DEBUG"))
        if sys.stderr is None or not (first or debug):
            return
        text = " ".join(f"{where}: {type(error).__name__}: {error}".split())
        more = "the program runs on without it, AUTOXLA_DEBUG=1 says more"
        write(sys.stderr, f"autoxla: AX901 error {printable(text)}; {more}\n")
        if debug:
            # Not sys.excepthook: a program's own one may well end the process or report to somebody.
            import traceback

            write(sys.stderr, "".join(traceback.format_exception(type(error), error, error.__traceback__)))
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
