"""What is kept between runs and what is read of the program, where neither can be had."""

from __future__ import annotations

from autoxla.model import NO_ANSWER, OUT_OF_TIME, Place, Reading
from autoxla.policies.example import FILE, KERAS, Example
from autoxla.policies.rule import Draft, Rule


def _is_silent(draft: Draft) -> bool:
    return (draft.situation.cache_refused or "").endswith(NO_ANSWER)


def _refused(draft: Draft) -> str:
    return f"nothing is read from autoxla's cache folder, and nothing kept: {draft.situation.cache_refused}"


def _find_cut(draft: Draft) -> Place | None:
    """Return the program whose reading was cut short, if it was."""
    unread = draft.situation.reading.unread
    return next((place for place, reason in unread if reason.startswith(OUT_OF_TIME)), None)


RULES = (
    Rule(
        code="AX906",
        level="info",
        title="The cache folder is not this user's alone",
        applies=lambda d: d.situation.cache_refused is not None and not _is_silent(d),
        message=_refused,
        remedy="chmod go-w the folder, or set AUTOXLA_CACHE to one of your own",
        why="""The files in the cache steer later runs. In a folder that others may write to, anybody could
        decide how your programs run. So autoxla reads nothing from it and keeps nothing there. Programs run
        as they do without a cache.""",
        example=Example(
            KERAS,
            known={"cache_refused": "/scratch/autoxla can be written by others"},
            told="AUTOXLA_CACHE=/scratch/autoxla, a folder that others may write to",
        ),
        source="autoxla, records",
    ),
    Rule(
        code="AX909",
        level="warning",
        title="The cache folder does not answer",
        applies=_is_silent,
        message=_refused,
        remedy="set AUTOXLA_CACHE to a folder on a disk of this machine, or see why its file system hangs",
        why="""A server that is away holds up every call to its file system, for ever. autoxla asks the cache
        folder in a thread and waits two seconds in all; then the run goes on without a cache. It does not
        know what earlier runs taught, so it may try XLA anew. Where the program itself or `keras.json` is on
        that server, the program hangs without autoxla, too.""",
        example=Example(
            KERAS,
            known={"cache_refused": f"/net/home/me/.cache/autoxla {NO_ANSWER}"},
            told="a home on a server that is away",
        ),
        source="autoxla, records",
    ),
    Rule(
        code="AX910",
        level="warning",
        title="The program is too large to be read while it waits",
        applies=lambda d: _find_cut(d) is not None,
        message=lambda d: (
            f"the program's source counts as unknown: {'; '.join(r for _, r in d.situation.reading.unread)}"
        ),
        remedy="say in [tool.autoxla.usage] what the program does; explain reads all of it",
        why="""A program that runs waits at most two seconds for its source to be read. For thousands of
        modules that may be too little. Half of the source would mislead, since the other half may need the
        opposite. So autoxla decides nothing that only the source tells, and cures only the hazards that the
        environment shows. `explain` reads the whole source, however long that takes.""",
        example=Example(
            KERAS,
            known={"reading": Reading(unread=((Place(FILE), f"{OUT_OF_TIME} 2 s"),))},
            told="a program of some thousand modules",
            command="python -m autoxla",
        ),
        source="autoxla, look-ahead",
        about=_find_cut,
    ),
)
