"""What the rules say of the situation: the findings of ``explain``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from autoxla.commands.diagnosis.line import Line, Scene, State
from autoxla.facts import ENVIRONMENT, Finding, Situation
from autoxla.policies import decide

SUBJECT = "rules"
_STATES: dict[str, State] = {"info": "note", "warning": "warning", "error": "error"}


def check(scene: Scene) -> Iterator[Line]:
    """Say each finding. One that autoxla cures is still there for programs that run without it."""
    findings = judge(scene.situation)
    yield from map(_say, findings)
    if not findings:
        yield Line("ok", "AX899", SUBJECT, "no rule found anything")


def judge(situation: Situation) -> tuple[Finding, ...]:
    """Return the findings of the rules, also where autoxla is switched off; then it cures nothing."""
    settings = situation.settings
    mode = "observe" if settings.mode == "off" else settings.mode
    return decide(replace(situation, settings=replace(settings, mode=mode))).findings


def _say(finding: Finding) -> Line:
    place = "" if finding.place == ENVIRONMENT else f"{finding.place}: "
    state = _STATES[finding.level]
    if not finding.applied:
        return Line(state, finding.code, SUBJECT, f"{place}{finding.message}", finding.remedy)
    # Where autoxla is active the program starts, and the error is none.
    remedy = f"autoxla does it where it is active: {finding.remedy}"
    softened: State = "warning" if state == "error" else state
    return Line(softened, finding.code, SUBJECT, f"{place}{finding.message}", remedy)
