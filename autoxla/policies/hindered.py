"""What hinders autoxla itself: its cache is not used, the source is not read, TensorFlow came first."""

from __future__ import annotations

from autoxla.model import NO_ANSWER, OUT_OF_TIME, Place, Reading
from autoxla.policies.rule import FILE, KERAS, Example, Rule

RULES = (
    Rule(
        code="AX909",
        level="warning",
        title="The cache folder is not used",
        applies=lambda d: d.situation.cache_refused is not None,
        message=lambda d: (
            f"nothing is read from autoxla's cache folder, and nothing kept: {d.situation.cache_refused}"
        ),
        remedy="chmod go-w the folder, or set AUTOXLA_CACHE to one of your own on a disk that answers",
        milder=lambda d: not str(d.situation.cache_refused).endswith(NO_ANSWER),
        why="""The files in the cache steer later runs: whoever may write there could decide how your programs
        run. A server that is away holds up every call to its file system, for ever. autoxla waits two seconds
        in all and goes on without what earlier runs taught.""",
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
        # The program whose reading was cut short.
        applies=lambda d: next(
            (place for place, why in d.situation.reading.unread if why.startswith(OUT_OF_TIME)), None
        ),
        message=lambda d: (
            f"the program's source counts as unknown: {'; '.join(r for _, r in d.situation.reading.unread)}"
        ),
        remedy="let explain read all of it once, which is kept for the next runs, or say in "
        "[tool.autoxla.usage] what the program does",
        why="""A program that runs waits at most two seconds for its source to be read. Half of the source
        would mislead, so autoxla then cures only the hazards that the environment shows. Once all of
        it was read, as `explain` does, the reading is kept until a file of it changes, and no run waits.""",
        example=Example(
            KERAS,
            known={"reading": Reading(unread=((Place(FILE), f"{OUT_OF_TIME} 2 s"),))},
            told="a program of some thousand modules",
            command="python -m autoxla",
        ),
        source="autoxla, look-ahead",
    ),
    # Last of all, since the other rules tell what comes too late.
    Rule(
        code="AX111",
        level="warning",
        title="autoxla came after TensorFlow",
        applies=lambda d: bool(d.too_late),
        message=lambda d: (
            f"tensorflow was imported before autoxla: too late to set {', '.join(dict.fromkeys(d.too_late))}"
        ),
        remedy="import autoxla first, or run the program with python -m autoxla",
        why="""Most variables are read once, while TensorFlow is imported. An autoxla that comes later can
        still look after `compile` and explain errors.""",
        example=Example(
            "import tensorflow as tf\nimport autoxla\nimport keras\n",
            settings={"step": "autocluster-1"},
            known={"imported": frozenset({"tensorflow"}), "devices_ready": True},
            command="python",
        ),
        source="TensorFlow, variables read at import",
        about="importing",
        after_restart="run this cell first",
    ),
)
