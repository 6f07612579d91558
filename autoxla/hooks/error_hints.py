"""Hints on errors that are known: a note on an exception on its way through Keras or out of the program.

`register` wraps ``fit``, ``Sequential.add`` and the saving functions of every Keras that is imported, and
chains ``sys.excepthook`` and ``threading.excepthook`` for the errors that no wrapper sees. A wrapper adds a
note to an exception; type, arguments and traceback stay as they are, without a frame of ours. Up to Python
3.10 the frame remains, and exceptions have no notes: there the hint is a line on stderr that only an uncaught
exception gets, for a program that handles its errors shall not hear of them. (Without its C extension wrapt
leaves a frame of its own.)

The errors themselves are data in `autoxla.hooks.known_errors`, which loads with the first error.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from autoxla.hooks import finder
from autoxla.hooks.boundary import attempt
from autoxla.hooks.keras_internals import FITS, SAVING, SEQUENTIALS
from autoxla.hooks.wrapping import hide_frames, leave_no_frame
from autoxla.notice import notify
from autoxla.runtime import Runtime, current

if TYPE_CHECKING:
    from autoxla.hooks.known_errors import Sign

#: What `Exception.add_note` puts in front of every hint of ours.
PREFIX = "autoxla: "
HAS_NOTES = sys.version_info >= (3, 11)  # PYVERSION
#: Exceptions of one chain (cause, context, group) that are looked at.
LONGEST_CHAIN = 20
#: Characters of a message that are searched, at its start and again at its end.
SEARCHED = 8192
#: Frames of a traceback that are looked at.
DEEPEST = 200


@dataclass(frozen=True, slots=True)
class Hint:
    """What a known error means and what to do about it.

    `setting` is the one setting of autoxla under which the program lives, ``{"AUTOXLA_KERAS": "2"}`` or
    ``"legacy"``; None where there is none, or more than one may do.
    """

    code: str
    text: str
    setting: Mapping[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


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
    """Add to ``error``, or to the exception that it came from, the hint that is known for it.

    Does nothing the second time, and nothing on Python 3.10, which has no notes.
    """
    found = find_in_chain(error) if HAS_NOTES else None
    if found is not None:
        found[0].add_note(f"{PREFIX}{found[1]}")  # type: ignore[attr-defined, unused-ignore]


# --- What nobody caught


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
        line = attempt("hint on an error", prepare, error)
        try:
            self.main(kind, error, trace)
        finally:
            if line is not None:
                attempt("hint on an error", notify, line)
            attempt("last words", conclude, error)

    def _except_in_thread(self, args: Any) -> None:
        line = attempt("hint on an error", prepare, args.exc_value)
        try:
            self.thread(args)
        finally:
            if line is not None:
                attempt("hint on an error", notify, line)


def prepare(error: BaseException | None) -> str | None:
    """Add the note; return the hint instead where the exception has no notes."""
    if error is None or not isinstance(error, Exception):
        return None
    if HAS_NOTES:
        add_note(error)
        return None
    found = find_in_chain(error)
    return None if found is None else str(found[1])


def conclude(error: BaseException) -> None:
    """Learn and say what there is, now that the program, or a cell, dies of ``error``."""
    if isinstance(error, Exception):
        from autoxla.hooks import last_words

        links = tuple(_chain(error))
        last_words.conclude(links, next(filter(None, map(find_hint, links)), None))


# --- Which error is known


def find_in_chain(error: BaseException) -> tuple[BaseException, Hint] | None:
    """Return the exception in the chain of ``error`` that is known, with its hint; None if it has one."""
    for link in _chain(error):
        notes = getattr(link, "__notes__", ())
        if isinstance(notes, (list, tuple)) and any(str(note).startswith(PREFIX) for note in notes):
            return None
        hint = find_hint(link)
        if hint is not None:
            return link, hint
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and the exceptions that are printed with it, each once."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting and len(seen) < LONGEST_CHAIN:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        earlier = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        inside = getattr(link, "exceptions", ())
        waiting += [e for e in (earlier, *inside) if isinstance(e, BaseException)][:LONGEST_CHAIN]


def find_hint(error: BaseException) -> Hint | None:
    """Return the hint on ``error`` of the first sign that fits, None for an unknown one. Never raises.

    Of a long message, the first and last `SEARCHED` characters are looked at.
    """
    # Most programs never meet an error.
    from autoxla.hooks.known_errors import KNOWN_ERRORS

    try:
        names = {cls.__name__ for cls in type(error).__mro__}
        signs = [(e, s) for e in KNOWN_ERRORS for s in e.signs if not names.isdisjoint(s.types)]
        text = _message(error) if signs else ""
        return next((Hint(e.code, s.hint_on(text)) for e, s in signs if _fits(s, error, text)), None)
    except Exception:  # noqa: BLE001 - a foreign exception's __str__ may raise anything
        return None


def _message(error: BaseException) -> str:
    text = str(error)
    return text if len(text) <= 2 * SEARCHED else f"{text[:SEARCHED]}\n{text[-SEARCHED:]}"


def _fits(sign: Sign, error: BaseException, text: str) -> bool:
    """Return whether ``sign`` is on ``error`` with the message ``text``."""
    if re.search(sign.pattern, text) is None:
        return False
    if sign.threads and not finder.FINDER.overlapped:
        return False
    if sign.after:
        context = error.__cause__ or error.__context__
        if context is None or re.search(sign.after, _message(context)) is None:
            return False
    if not sign.within:
        return True
    # Whether code of that package is on the traceback.
    packages = {"keras", "tf_keras"} if sign.within == "keras" else {sign.within}
    trace = error.__traceback__
    for _ in range(DEEPEST):
        if trace is None:
            return False
        name = trace.tb_frame.f_globals.get("__name__", "")
        if isinstance(name, str) and name.partition(".")[0] in packages:
            return True
        trace = trace.tb_next
    return False
