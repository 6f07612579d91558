"""What a rule is. A module of rules gets what it needs of a draft from here, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autoxla.model import Finding, Grade, Level, Place
from autoxla.policies.draft import (
    AUTO_JIT,
    FLAGS,
    KERAS_3,
    NPD,
    SWITCH,
    SWITCHABLE,
    XLA_FLAGS,
    Cure,
    Draft,
    place_of,
)

if TYPE_CHECKING:
    from autoxla.policies.example import Example

__all__ = [
    "AUTO_JIT",
    "FLAGS",
    "KERAS_3",
    "NPD",
    "SWITCH",
    "SWITCHABLE",
    "XLA_FLAGS",
    "Cure",
    "Draft",
    "Rule",
    "place_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One hazard or one choice.

    What it says: `applies` tells whether it is there, `message` what is wrong, `remedy` what to do, `why`
    that matters; `example` shows it, and `source` is the document that it comes from. `about` names the
    fact or variable whose place is the finding's, or finds that place. In a notebook in which it comes too
    late, `after_restart` is what to do after a restart.

    What it does: `cures` are variables that end the hazard, in the order in which they are to give way;
    `act` changes the draft where variables alone cannot, and returns whether it did. A `fatal` rule stands
    for the end of the process or silently wrong results: only then does the user's explicit value give way.
    Where `milder` holds, an error is a warning, and a warning is an info of what is only possible.

    The other fields are those of `Finding`. The variables that it asks for are listed in
    `autoxla.policies.SUBJECTS`.
    """

    code: str
    level: Level
    title: str
    applies: Callable[[Draft], bool]
    message: str | Callable[[Draft], str]
    remedy: str | Callable[[Draft], str]
    why: str
    example: Example
    source: str
    about: str | Callable[[Draft], Place | None] | None = None
    grade: Grade = "certain"
    milder: Callable[[Draft], bool] | None = None
    cures: Callable[[Draft], tuple[Cure, ...]] | None = None
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
        if not self.applies(draft):
            return
        draft.code = self.code
        # Before the cure: a message names the values that the rule met.
        message, remedy = (
            text if isinstance(text, str) else text(draft) for text in (self.message, self.remedy)
        )
        level, grade = self.level, self.grade
        if self.milder is not None and self.milder(draft):
            level, grade = ("warning", grade) if level == "error" else ("info", "possible")
        place = draft.place_of(self.about)
        applied = self.act is not None and bool(self.act(draft))
        if self.cures is not None:
            applied = draft.give_way(self.cures(draft), fatal=self.fatal) or applied
        if draft.needs_restart and self.after_restart and not applied:
            remedy = f"restart {draft.situation.restart} and {self.after_restart}"
        draft.findings.append(
            Finding(
                self.code,
                level,
                message,
                remedy,
                place,
                grade,
                applied,
                late=self.late(draft) if self.late is not None else (),
                certain_with=self.certain_with(draft) if self.certain_with is not None else None,
                checked_again=self.checked_again,
                bad_input=self.bad_input,
                stops_keras=self.stops_keras,
            )
        )
