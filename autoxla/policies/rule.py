"""What a rule is, and the example that it brings along: a program from which its finding follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from autoxla.model import SWITCHING, Finding, Grade, Level
from autoxla.policies.draft import Draft

#: The program's file in all examples.
FILE = "train.py"

KERAS = """\
import keras

model = keras.Sequential([keras.layers.Dense(1)])
model.compile("adam", "mse")
"""
TF_KERAS = """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile("adam", "mse")
"""
LEGACY_ADAM = """\
import tensorflow as tf

optimizer = tf.keras.optimizers.legacy.Adam(1e-3)
"""
#: Nobody can tell beforehand which variables this program sets. It sets them too late.
_FROM_A_FILE = """\
import json
import os
from pathlib import Path
import tensorflow as tf

os.environ.update(json.loads(Path("variables.json").read_text()))
model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile("adam", "mse")
"""


@dataclass(frozen=True, slots=True)
class Example:
    """A program, the variables and settings that it starts with, and the machine of `autoxla.commands.rule`.

    `known` are further facts of the situation, by their names there; `told` says them in words.
    `command` prints the finding.
    """

    program: str
    variables: Mapping[str, str] = field(default_factory=dict)
    machine: str = "usual"
    settings: Mapping[str, Any] = field(default_factory=dict)
    keras_json: str = ""
    known: Mapping[str, Any] = field(default_factory=dict)
    told: str = ""
    command: str = "python -m autoxla explain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One hazard or one choice.

    What it says: `applies` tells whether it is there, `message` what is wrong, `remedy` what to do, `why`
    that matters; `example` shows it, and `source` is the document that it comes from. What `applies` returns
    is `Draft.found` for the other fields, and the finding has its place and grade, unless `about` names the
    variable or fact whose place it has, or `grade` is given. In a notebook in which it comes too late,
    `after_restart` is what to do after a restart.

    What it does: `cures` are variables with the values that end the hazard (None: unset), in the order in
    which they are to give way;
    `act` changes the draft where variables alone cannot, and returns whether it did. A `fatal` rule stands
    for the end of the process or silently wrong results: only then does the user's explicit value give way.
    Where `milder` holds, an error is a warning, and a warning is an info.

    The other fields are those of `Finding`. The variables that it asks for are listed in
    `autoxla.policies.SUBJECTS`.
    """

    code: str
    level: Level
    title: str
    applies: Callable[[Draft], object]
    message: str | Callable[[Draft], str]
    remedy: str | Callable[[Draft], str]
    why: str
    example: Example
    source: str
    about: str = ""
    grade: Grade = "certain"
    milder: Callable[[Draft], bool] | None = None
    cures: Callable[[Draft], Mapping[str, str | None]] | None = None
    act: Callable[[Draft], object] | None = None
    fatal: bool = False
    after_restart: str = ""
    late: Callable[[Draft], tuple[str, ...]] | None = None
    certain_with: Callable[[Draft], str | None] | None = None
    checked_again: bool = False
    bad_input: bool = False
    stops_keras: bool = False

    def __call__(self, draft: Draft) -> None:
        """Add this rule's finding to ``draft`` if it applies, and its cure if it may have one."""
        draft.found = self.applies(draft)
        if not draft.found:
            return
        draft.code = self.code
        # Before the cure: a message names the values that the rule met.
        message, remedy = (
            text if isinstance(text, str) else text(draft) for text in (self.message, self.remedy)
        )
        level = self.level
        if self.milder is not None and self.milder(draft):
            level = "warning" if level == "error" else "info"
        place = draft.place_of(self.about or draft.found)
        applied = self.act is not None and bool(self.act(draft))
        if self.cures is not None:
            applied = draft.give_way(self.cures(draft), fatal=self.fatal) or applied
        # In a program that runs cell by cell, what a backend reads at its import was read already.
        is_late = draft.situation.restart is not None and draft.situation.imported.difference(SWITCHING)
        if is_late and self.after_restart and not applied:
            remedy = f"restart {draft.situation.restart} and {self.after_restart}"
        draft.findings.append(
            Finding(
                self.code,
                level,
                message,
                remedy,
                place,
                "possible" if "possible" in (self.grade, getattr(draft.found, "grade", "")) else "certain",
                applied,
                late=self.late(draft) if self.late is not None else (),
                certain_with=self.certain_with(draft) if self.certain_with is not None else None,
                checked_again=self.checked_again,
                bad_input=self.bad_input,
                stops_keras=self.stops_keras,
            )
        )


def set_late(variable: str, value: str, **known: Any) -> Example:
    """Return the example of a program that sets a variable too late, which its source does not tell."""
    known["environment"] = {variable: value}
    told = f'variables.json holds {{"{variable}": "{value}"}}'
    return Example(_FROM_A_FILE, known=known, told=told, command="python -m autoxla")
