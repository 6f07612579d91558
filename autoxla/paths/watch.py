"""What a child of ``python -m autoxla heal`` leaves behind: where it is, and what it died of.

A child finds in ``AUTOXLA_WATCH`` how the names of such files begin. This module is loaded at the start of
its interpreter, before the program, so it imports what costs nothing. It leaves ``.PID.stacks`` with the
stack of the main thread, a line whenever that is another one; ``.PID.fatal``, in which `faulthandler` writes
on a fatal signal; and ``.PID.json``, written at the exit, with the exception that ended the program. Without
the variable it is not even loaded.
"""

import _thread
import atexit
import faulthandler
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

#: Seconds from one look at the stack to the next.
EVERY = 0.5
#: What stands between the frames of a line, and between file, line and function.
BETWEEN, WITHIN = "\x1e", "\x1f"
#: Characters of a message that are kept.
_LONGEST = 4000
_LIBRARIES = (
    *("site-packages", "dist-packages", os.path.dirname(os.__file__)),  # noqa: PTH120
    os.path.dirname(os.path.dirname(__file__)),  # noqa: PTH120 - autoxla itself, out of a checkout
)
_BACKENDS = ("tensorflow", "keras", "tf_keras")


def begin(name: str) -> None:
    """Watch this process and leave what is seen in files whose names begin with ``name``."""
    fatal, stacks = (f"{name}.{os.getpid()}.{ending}" for ending in ("fatal", "stacks"))
    # Other threads run on while faulthandler looks at them, and so it is asked for none. It keeps its file.
    faulthandler.enable(open(fatal, "wb"), all_threads=False)  # noqa: PTH123, SIM115
    # No thread of `threading`, which the program could see.
    _thread.start_new_thread(_look, (stacks, _thread.get_ident()))
    atexit.register(leave, name)


def _look(stacks: str, thread: int) -> None:
    """Write the stack of ``thread`` again and again. While an extension holds the GIL, nothing moves here."""
    last = ""
    with open(stacks, "a", encoding="utf-8", errors="replace") as stream:  # noqa: PTH123
        while True:
            frames, frame = [], sys._current_frames().get(thread)
            while frame is not None:
                code = frame.f_code
                if is_own(code.co_filename):
                    frames.append(WITHIN.join((code.co_filename, str(frame.f_lineno), code.co_name)))
                frame = frame.f_back
            line = BETWEEN.join(reversed(frames))
            if line != last:
                stream.write(f"{line}\n")
                stream.flush()
                last = line
            time.sleep(EVERY)


def leave(name: str) -> None:
    """Write what ended the process. Python itself keeps an uncaught exception, whoever prints it."""
    import json

    loaded = any(module.partition(".")[0] in _BACKENDS for module in tuple(sys.modules))
    facts: dict[str, object] = {"loaded": loaded}
    error: BaseException | None = getattr(sys, "last_value", None)
    if error is not None:
        frames = list(_walk(getattr(sys, "last_traceback", None) or error.__traceback__))
        facts |= {
            "types": [kind.__name__ for kind in type(error).__mro__],
            "message": str(error)[:_LONGEST],
            "stack": [(file, line, function) for file, line, function, _ in frames if is_own(file)],
            "raised_in": frames[-1][3] if frames else "",
        }
    unfinished, file = f"{name}.{os.getpid()}.new", f"{name}.{os.getpid()}.json"
    with open(unfinished, "w", encoding="utf-8") as stream:  # noqa: PTH123
        json.dump(facts, stream)
    os.replace(unfinished, file)  # noqa: PTH105


def is_own(file: str) -> bool:
    """Return whether ``file`` is the program's own code, no library's."""
    return not file.startswith("<frozen ") and not any(folder in file for folder in _LIBRARIES)


def _walk(trace: "TracebackType | None") -> "Iterator[tuple[str, int, str, str]]":
    """Yield file, line, function and top-level package of each frame, the innermost last."""
    while trace is not None:
        code, package = trace.tb_frame.f_code, str(trace.tb_frame.f_globals.get("__name__", ""))
        yield code.co_filename, trace.tb_lineno, code.co_name, package.partition(".")[0]
        trace = trace.tb_next
