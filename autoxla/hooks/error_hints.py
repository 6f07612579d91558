"""Hints on errors that nobody caught: which error is known, what it means and what to do about it.

What only the other generation of Keras has is found by comparison (`autoxla.hooks.other_generation`); a file
that does not load tells who wrote it (`explain_load`); all other errors that are known are data
(`autoxla.hooks.known_errors`). Loads with the first error, see `autoxla.hooks.uncaught`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Any

from autoxla.hooks.finder import FINDER
from autoxla.hooks.known_errors import KNOWN_ERRORS, Sign
from autoxla.hooks.other_generation import (
    compare,
    find_way,
    find_ways,
    is_in_neither,
    last_line,
    list_frames,
    name_module,
)
from autoxla.policies.saved_files import KERAS_2, advise
from autoxla.situation.distributions import find_versions
from autoxla.situation.env_parsing import parse_version
from autoxla.situation.saved_files import identify, identify_text

#: What `Exception.add_note` puts in front of every hint of ours.
PREFIX = "autoxla: "
HAS_NOTES = sys.version_info >= (3, 11)  # PYVERSION
#: Exceptions of one chain (cause, context, group) that are looked at.
LONGEST_CHAIN = 20
#: Characters of a message that are searched, at its start and again at its end.
SEARCHED = 8192
#: Functions of Keras that load, each with the argument that has the path, or the text itself.
_LOADERS = {"load_model": "filepath", "load_weights": "filepath", "model_from_json": "json_string"}
#: Modules that only Keras 2 has, and its pickles name.
_OF_KERAS_2 = re.compile(r"keras\.src\.(?:preprocessing|engine|saving\.pickle_utils)\b")


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


def add_note(error: BaseException) -> Hint | None:
    """Add the hint on ``error`` to it, or to the exception that it came from, unless one has a hint.

    Returns the hint, None where nothing is known. Up to Python 3.10 exceptions have no notes.
    """
    chain = list(list_chain(error))
    hints = ((link, find_hint(link)) for link in chain)
    link, hint = next(((link, hint) for link, hint in hints if hint is not None), (error, None))
    notes = [getattr(each, "__notes__", None) for each in chain]
    is_noted = any(str(n).startswith(PREFIX) for each in notes if isinstance(each, list) for n in each)
    if hint is not None and HAS_NOTES and not is_noted:
        link.add_note(f"{PREFIX}{hint}")  # type: ignore[attr-defined, unused-ignore]
    return hint


def list_chain(error: BaseException) -> Iterator[BaseException]:
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

    A file that does not load goes first, then what the other generation of Keras has, then the known errors.
    """
    try:
        explained = explain_load(error)
        if explained is not None:
            return explained
        claim = compare(error)
        way = None if claim is None else find_way(error, claim[0])
        if claim is not None and way is not None:
            return Hint("AX169", f"{claim[1]}: {way.text}.", way.setting)
        names = {cls.__name__ for cls in type(error).__mro__}
        signs = [(known, s) for known in KNOWN_ERRORS for s in known.signs if not names.isdisjoint(s.types)]
        text = _message(error) if signs else ""
        for known, sign in signs:
            if not _fits(sign, error, text):
                continue
            ways, setting = find_ways(error)
            is_cured = "{keras2}" in sign.hint
            if is_cured and is_in_neither(error):
                continue
            if "{release}" not in sign.hint or ways["release"]:
                return Hint(known.code, sign.hint_on(text, ways), setting if is_cured else None)
    except Exception:  # noqa: BLE001, S110 - a foreign exception's __str__ may raise anything
        pass
    return None


def explain_load(error: BaseException) -> Hint | None:
    """Return what wrote the file whose load ended in ``error``, and how it is read.

    The file is found on the traceback. None where ``error`` is not of a load, or no way to read it is known.
    """
    for frame in list_frames(error):
        package = name_module(frame).partition(".")[0]
        argument = _LOADERS.get(frame.f_code.co_name) if package in ("keras", "tf_keras") else None
        given: Any = frame.f_locals.get(argument) if argument is not None else None
        if given is not None:
            break
    else:
        # A pickle that names a module of Keras 2, unless a line imports that itself.
        missing = _OF_KERAS_2.match(error.name or "") if isinstance(error, ModuleNotFoundError) else None
        line = last_line(error)
        if missing is None or "load" not in line or "import" in line:
            return None
        way = find_way(error, "keras", alias=True)
        if way is None:
            return None
        return Hint("AX147", f"what is unpickled was written by Keras 2: {way.text}.", way.setting)
    is_text = argument == "json_string"
    saved = identify_text("json", [str(given).encode()]) if is_text else identify(Path(given))
    release = str(getattr(sys.modules.get(package), "__version__", ""))
    reader = parse_version(release)
    if saved is None or not reader:
        return None
    tf_keras = find_versions(sys.path).get("tf-keras", ())
    advice = advise(saved, reader=reader, tf_keras=tf_keras, error=str(error))
    if advice is None:
        return None
    setting = None
    if KERAS_2 in advice:
        way = find_way(error, "keras")
        if way is None:
            return None
        advice = advice.replace(KERAS_2, way.text)
        # Where the program has to be edited besides, the setting alone does not make it live.
        setting = way.setting if "safe_mode" not in advice else None
    name = "the configuration" if is_text else Path(given).name
    writer = saved.release or saved.generation
    told = f"{name} was written by Keras {writer}, and this is {package} {release}: {advice}."
    return Hint("AX147", told, setting)


def _message(error: BaseException) -> str:
    text = str(error)
    return text if len(text) <= 2 * SEARCHED else f"{text[:SEARCHED]}\n{text[-SEARCHED:]}"


def _fits(sign: Sign, error: BaseException, text: str) -> bool:
    """Return whether ``sign`` is on ``error`` with the message ``text``."""
    before, trace = error.__cause__ or error.__context__, error.__traceback__
    if re.search(sign.pattern, text) is None or (sign.threads and not FINDER.overlapped):
        return False
    if sign.after and (before is None or re.search(sign.after, _message(before)) is None):
        return False
    if sign.line and not any(re.search(sign.line, each.line or "") for each in extract_tb(trace)):
        return False
    packages = ("keras", "tf_keras") if sign.within == "keras" else (sign.within,)
    names = (name_module(frame).partition(".")[0] for frame in list_frames(error))
    return not sign.within or any(name in packages for name in names)
