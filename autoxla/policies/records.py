"""What is kept between runs and what is read of the program, where neither can be had."""

from __future__ import annotations

from autoxla.facts import Place
from autoxla.places import SILENCE
from autoxla.policies.rule import Draft, Rule
from autoxla.situation.files import OUT_OF_TIME


def _is_refused(draft: Draft) -> bool:
    return draft.situation.cache_refused is not None and not _is_silent(draft)


def _is_silent(draft: Draft) -> bool:
    return (draft.situation.cache_refused or "").endswith(SILENCE)


def _is_cut(draft: Draft) -> bool:
    return _find_cut(draft) is not None


def _find_cut(draft: Draft) -> Place | None:
    """Return the program whose reading was cut short, if it was."""
    unread = draft.situation.reading.unread
    return next((place for place, reason in unread if reason.startswith(OUT_OF_TIME)), None)


RULES = (
    Rule(
        "AX906",
        "info",
        "The cache folder is not this user's alone",
        "nothing is read from autoxla's cache folder, and nothing kept: {cache_refused}",
        "chmod go-w the folder, or set AUTOXLA_CACHE to one of your own",
        "autoxla, records",
        _is_refused,
    ),
    Rule(
        "AX909",
        "warning",
        "The cache folder does not answer",
        "nothing is read from autoxla's cache folder, and nothing kept: {cache_refused}",
        "set AUTOXLA_CACHE to a folder on a disk of this machine, or see why its file system hangs",
        "autoxla, records",
        _is_silent,
    ),
    Rule(
        "AX910",
        "warning",
        "The program is too large to be read while it waits",
        "the program's source counts as unknown: {unread}",
        "let explain read all of it once, which is kept for the next runs, or say in [tool.autoxla.usage] "
        "what the program does",
        "autoxla, look-ahead",
        _is_cut,
        about=_find_cut,
    ),
)
