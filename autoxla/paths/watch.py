"""What a child of ``python -m autoxla heal`` leaves behind: where it is, and what it died of.

A child finds in ``AUTOXLA_WATCH`` how the names of such files begin. This module is loaded at the start of
its interpreter, before the program, so it imports what costs nothing. It leaves ``.PID.stacks`` with the
stack of the main thread, a line whenever that is another one; ``.PID.fatal``, in which `faulthandler` writes
on a fatal signal, unless the user has that enabled; ``.loaded``, empty, once Keras or TensorFlow is imported;
and ``.PID.death``, written at the exit, with the exception that ended the program, or the stack on which a
library called ``quit()``: that is how ITEX ends a process, with status 0. Without the variable it is not even
loaded.
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
    from types import FrameType
    from typing import TextIO

    Lines = list[tuple[str, int, str]]

#: Seconds from one look at the stack to the next.
EVERY = 0.5
#: What stands between the frames of a line, and between file, line and function.
BETWEEN, WITHIN = "\x1e", "\x1f"
#: Characters of a message that are kept. TensorFlow's begins with a traceback; the cause comes behind it.
_LONGEST = 20_000
_LIBRARIES = (
    *("site-packages", "dist-packages", os.path.dirname(os.__file__)),  # noqa: PTH120
    os.path.dirname(os.path.dirname(__file__)),  # noqa: PTH120 - autoxla itself, out of a checkout
)
_BACKENDS = ("tensorflow", "keras", "tf_keras")
#: How the names of files begin that autograph makes of the program's functions, in the temporary folder.
_GENERATED = "__autograph_generated_file"


def begin(name: str) -> None:
    """Watch this process and leave what is seen in files whose names begin with ``name``."""
    start = f"{name}.{os.getpid()}"
    try:
        stacks = open(f"{start}.stacks", "a", encoding="utf-8", errors="replace")  # noqa: PTH123, SIM115
    except OSError:
        return  # the program is over, its folder gone, and a process of it starts this one
    from autoxla.hooks import finder

    def note(_: object) -> None:
        try:
            open(f"{name}.loaded", "ab").close()  # noqa: PTH123
        except OSError:
            return  # the program is over, this process is not

    for package in _BACKENDS:
        # A signal leaves no time to look which modules there are.
        finder.before_import(package, note)
    if not faulthandler.is_enabled():
        # Other threads run on while faulthandler looks at them: it is asked for none. It keeps its file.
        faulthandler.enable(open(f"{start}.fatal", "wb"), all_threads=False)  # noqa: PTH123, SIM115
    # No thread of `threading`, which the program could see.
    _thread.start_new_thread(_look, (stacks, _thread.get_ident()))
    quits: list[Lines] = []
    _note_quits(quits)
    atexit.register(leave, name, quits)


def _note_quits(quits: "list[Lines]") -> None:
    """Append the program's own lines to ``quits`` whenever a library calls ``quit()`` or ``exit()``."""
    # `site` makes `quit` of it only later.
    from _sitebuiltins import Quitter

    stock = Quitter.__call__

    def call(self: Quitter, code: "sys._ExitCode | None" = None) -> None:
        frames = [*_walk(sys._getframe(1))]
        # ITEX has C code run text, within an import of TensorFlow.
        while frames[1:] and frames[0][0] == "<string>":
            del frames[0]
        if not is_own(frames[0][0]):
            quits.append([frame for frame in reversed(frames) if is_own(frame[0])])
        stock(self, code)

    Quitter.__call__ = call  # type: ignore[method-assign, assignment]


def _walk(frame: "FrameType | None") -> "Iterator[tuple[str, int, str]]":
    """Yield file, line and function of ``frame`` and those that called it."""
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
        frame = frame.f_back


def _look(stream: "TextIO", thread: int) -> None:
    """Write the stack of ``thread`` again and again. While an extension holds the GIL, nothing moves here."""
    last = ""
    while True:
        stack = [frame for frame in _walk(sys._current_frames().get(thread)) if is_own(frame[0])]
        line = BETWEEN.join(WITHIN.join(map(str, frame)) for frame in reversed(stack))
        if line != last:
            stream.write(f"{line}\n")
            stream.flush()
            last = line
        time.sleep(EVERY)


def leave(name: str, quits: "list[Lines]") -> None:
    """Write what ended the process. Python itself keeps an uncaught exception, whoever prints it.

    It is written as a literal: an import here would run code, after which Python forgets that Ctrl-C ended
    the program.
    """
    try:
        loaded = any(module.partition(".")[0] in _BACKENDS for module in tuple(sys.modules))
        facts: dict[str, object] = {"loaded": loaded, **({"quit": quits[0]} if quits else {})}
        error: BaseException | None = getattr(sys, "last_value", None)
        if error is not None:
            frames: Lines = []
            trace = getattr(sys, "last_traceback", None) or error.__traceback__
            while trace is not None:
                code = trace.tb_frame.f_code
                frames.append((code.co_filename, trace.tb_lineno, code.co_name))
                trace = trace.tb_next
            try:
                message = str(error)[:_LONGEST]
            except Exception:  # noqa: BLE001 - of the program's own __str__
                message = ""
            facts |= {
                "types": [kind.__name__ for kind in type(error).__mro__],
                "message": message,
                "stack": [frame for frame in frames if is_own(frame[0])],
            }
        unfinished, file = f"{name}.{os.getpid()}.new", f"{name}.{os.getpid()}.death"
        with open(unfinished, "w", encoding="ascii") as stream:  # noqa: PTH123
            stream.write(ascii(facts))
        os.replace(unfinished, file)  # noqa: PTH105
    except Exception:  # noqa: BLE001 - the folder may be gone, and the program may have changed anything
        return


def is_own(file: str) -> bool:
    """Return whether ``file`` is the program's own code, no library's."""
    if file.startswith("<frozen ") or os.path.basename(file).startswith(_GENERATED):  # noqa: PTH119
        return False
    return not any(folder in file for folder in _LIBRARIES)
