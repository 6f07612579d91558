"""Hints on errors that nobody caught: a note on the exception on its way out of the program.

`register` chains ``sys.excepthook`` and ``threading.excepthook``, and in a notebook what shows the error of a
cell. Type, arguments and traceback of the exception stay as they are. Up to Python 3.10 exceptions have no
notes: there the hint is a line on stderr.

An error over what only the other generation of Keras has is found by comparison
(`autoxla.hooks.other_generation`); all others that are known are data (`autoxla.hooks.known_errors`). Both
load with the first error.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from autoxla.hooks import finder
from autoxla.hooks.boundary import attempt
from autoxla.runtime import Runtime

if TYPE_CHECKING:
    from autoxla.hooks.known_errors import Sign

#: What `Exception.add_note` puts in front of every hint of ours.
PREFIX = "autoxla: "
HAS_NOTES = sys.version_info >= (3, 11)  # PYVERSION
#: Exceptions of one chain (cause, context, group) that are looked at.
LONGEST_CHAIN = 20
#: Characters of a message that are searched, at its start and again at its end.
SEARCHED = 8192


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
    """Chain the hooks for what is uncaught, and IPython's, which shows by itself what a cell raises."""
    hooks = ExceptionHooks()
    hooks.install()
    runtime.on_uninstall(hooks.remove)
    shell = getattr(sys.modules.get("IPython.core.interactiveshell"), "InteractiveShell", None)
    runtime.wrap(shell, "showtraceback", _show)


def _show(wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    error = sys.exc_info()[1]
    with _hinted(error):
        shown = wrapped(*args, **kwargs)
    attempt("last words", conclude, error)
    return shown


def add_note(error: BaseException) -> str | None:
    """Add to ``error``, or to the exception that it came from, the hint on it, unless one has a hint.

    Returns the hint instead where exceptions have no notes.
    """
    notes = [getattr(link, "__notes__", None) for link in _chain(error)]
    is_noted = any(str(n).startswith(PREFIX) for each in notes if isinstance(each, list) for n in each)
    found = None if is_noted else find_in_chain(error)
    if found is None or not HAS_NOTES:
        return None if found is None else str(found[1])
    found[0].add_note(f"{PREFIX}{found[1]}")  # type: ignore[attr-defined, unused-ignore]
    return None


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
        with _hinted(error):
            self.main(kind, error, trace)
        attempt("last words", conclude, error)

    def _except_in_thread(self, args: Any) -> None:
        with _hinted(args.exc_value):
            self.thread(args)
        attempt("last words", conclude, args.exc_value)


@contextmanager
def _hinted(error: BaseException | None) -> Iterator[None]:
    """Add the note before ``error`` is shown, or say the hint behind it where exceptions have no notes."""
    line = attempt("hint on an error", add_note, error) if isinstance(error, Exception) else None
    try:
        yield
    finally:
        if line is not None:
            attempt("hint on an error", _notify, line)


def _notify(line: str) -> None:
    from autoxla.notice import notify

    notify(line)


def conclude(error: BaseException | None) -> None:
    """Learn and say what there is, now that the program, or a cell, dies of ``error``."""
    if isinstance(error, Exception):
        from autoxla.hooks import last_words

        found = find_in_chain(error)
        last_words.conclude(tuple(_chain(error)), None if found is None else found[1])


# --- Which error is known


def find_in_chain(error: BaseException) -> tuple[BaseException, Hint] | None:
    """Return the first exception in the chain of ``error`` that there is a hint on, with it."""
    hints = ((link, find_hint(link)) for link in _chain(error))
    return next(((link, hint) for link, hint in hints if hint is not None), None)


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
    """Return the hint on ``error``, None for an unknown one. Never raises.

    It is compared with the other generation of Keras first, then looked up among the known errors.
    """
    try:
        # Most programs never meet an error.
        from autoxla.hooks.other_generation import compare, find_cure
        from autoxla.hooks.saved_files import explain

        explained = explain(error)
        if explained is not None:
            return Hint("AX147", *explained)
        claim = compare(error)
        cure = None if claim is None else find_cure(error, claim.own)
        if claim is not None and cure is not None:
            return Hint("AX169", f"{claim.text}: {cure.text}.", cure.setting)
        return _look_up(error)
    except Exception:  # noqa: BLE001 - a foreign exception's __str__ may raise anything
        return None


def _look_up(error: BaseException) -> Hint | None:
    """Return the hint of the first known sign that is on ``error``."""
    from autoxla.hooks.known_errors import KNOWN_ERRORS
    from autoxla.hooks.other_generation import find_ways, is_in_neither

    names = {cls.__name__ for cls in type(error).__mro__}
    signs = [(known, s) for known in KNOWN_ERRORS for s in known.signs if not names.isdisjoint(s.types)]
    text = _message(error) if signs else ""
    for known, sign in signs:
        if _fits(sign, error, text):
            ways, setting = find_ways(error)
            is_cured = "{keras2}" in sign.hint
            if is_cured and is_in_neither(error):
                continue
            if "{release}" not in sign.hint or ways["release"]:
                return Hint(known.code, sign.hint_on(text, ways), setting if is_cured else None)
    return None


def _message(error: BaseException) -> str:
    text = str(error)
    return text if len(text) <= 2 * SEARCHED else f"{text[:SEARCHED]}\n{text[-SEARCHED:]}"


def _fits(sign: Sign, error: BaseException, text: str) -> bool:
    """Return whether ``sign`` is on ``error`` with the message ``text``."""
    from traceback import extract_tb

    from autoxla.hooks.other_generation import list_frames

    before = error.__cause__ or error.__context__
    if re.search(sign.pattern, text) is None or (sign.threads and not finder.FINDER.overlapped):
        return False
    if sign.after and (before is None or re.search(sign.after, _message(before)) is None):
        return False
    if sign.line and not any(
        re.search(sign.line, each.line or "") for each in extract_tb(error.__traceback__)
    ):
        return False
    packages = ("keras", "tf_keras") if sign.within == "keras" else (sign.within,)
    names = (str(frame.f_globals.get("__name__", "")) for frame in list_frames(error))
    return not sign.within or any(name.partition(".")[0] in packages for name in names)
