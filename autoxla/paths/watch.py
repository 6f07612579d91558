"""What a child of ``python -m autoxla heal`` leaves behind: where it is, and what it died of.

A child finds in ``AUTOXLA_PROBE`` a name that ends in `SUFFIX`. This module is loaded at the start of its
interpreter, before the program, so it imports what costs nothing. Beside that name it leaves ``.PID.stacks``,
in which `faulthandler` writes all stacks again and again, and once more on a fatal signal; and ``.PID.json``,
written at the exit, with the exception that ended the program. Without the variable it is not even loaded.
"""

import atexit
import faulthandler
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

#: How the name begins all files of a run that is watched.
SUFFIX = ".heal"
#: Seconds from one look at the stacks to the next.
EVERY = 1.0
#: Characters of a message that are kept.
_LONGEST = 4000
_LIBRARIES = (
    *("site-packages", "dist-packages", os.path.dirname(os.__file__)),  # noqa: PTH120
    os.path.dirname(os.path.dirname(__file__)),  # noqa: PTH120 - autoxla itself, out of a checkout
)
_BACKENDS = ("tensorflow", "keras", "tf_keras")


def begin(name: str) -> None:
    """Watch this process and leave what is seen in files whose names begin with ``name``."""
    # faulthandler keeps the file open; it writes without the interpreter's help.
    stacks = open(f"{name}.{os.getpid()}.stacks", "w", encoding="utf-8")  # noqa: PTH123, SIM115
    faulthandler.enable(stacks)
    faulthandler.dump_traceback_later(EVERY, repeat=True, file=stacks)
    atexit.register(leave, name)


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
