"""The hint that a known error gets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from autoxla.hooks.finder import FINDER

if TYPE_CHECKING:
    from autoxla.hooks.known_errors import Sign

#: Characters of a message that are searched, at its start and again at its end.
SEARCHED = 8192
#: Frames of a traceback that are looked at.
DEEPEST = 200


@dataclass(frozen=True, slots=True)
class Hint:
    """What a known error means and what to do about it."""

    code: str
    text: str


def find_hint(error: BaseException) -> Hint | None:
    """Return the hint on ``error`` of the first sign that fits, None for an unknown one. Never raises.

    Of a long message, the first and last `SEARCHED` characters are looked at.
    """
    # Most programs never meet a known error.
    from autoxla.hooks.known_errors import KNOWN_ERRORS

    try:
        names = {cls.__name__ for cls in type(error).__mro__}
        signs = [(e, s) for e in KNOWN_ERRORS for s in e.signs if not names.isdisjoint(s.types)]
        text = _message(error) if signs else ""
        return next((Hint(e.code, s.hint_on(text)) for e, s in signs if _fits(s, error, text)), None)
    except Exception:  # noqa: BLE001 - a foreign exception's __str__ may raise anything
        return None


def _fits(sign: Sign, error: BaseException, text: str) -> bool:
    if re.search(sign.pattern, text) is None:
        return False
    if sign.threads and not FINDER.overlapped:
        return False
    if sign.after and not _came_after(error, sign.after):
        return False
    return not sign.within or _is_within(error.__traceback__, sign.within)


def _message(error: BaseException) -> str:
    text = str(error)
    return text if len(text) <= 2 * SEARCHED else f"{text[:SEARCHED]}\n{text[-SEARCHED:]}"


def _came_after(error: BaseException, pattern: str) -> bool:
    context = error.__cause__ or error.__context__
    return context is not None and re.search(pattern, _message(context)) is not None


def _is_within(trace: TracebackType | None, package: str) -> bool:
    """Return whether code of ``package`` (``keras`` stands for tf_keras, too) is on ``trace``."""
    packages = {package, "tf_keras"} if package == "keras" else {package}
    for _ in range(DEEPEST):
        if trace is None:
            return False
        name = trace.tb_frame.f_globals.get("__name__", "")
        if isinstance(name, str) and name.partition(".")[0] in packages:
            return True
        trace = trace.tb_next
    return False
