"""`decide`: apply the rules to a situation, in their order, and give the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

from autoxla.facts import Finding, Path, Plan, Situation, Step
from autoxla.policies import backend, flags, installation, itex, keras_generation, records, xla
from autoxla.policies.rule import Draft, Rule
from autoxla.readers import itex_lenient

#: All rules in the order in which they apply. The switch and the flags come first, because ITEX's
#: state follows from them; within `itex` what ends the process at load comes before what ends it later.
RULES: tuple[Rule, ...] = (
    *keras_generation.RULES,
    *flags.RULES,
    *xla.RULES,
    *itex.RULES,
    *backend.RULES,
    *installation.RULES,
    *records.RULES,
)
#: What helps in a notebook, after a restart, against what came too late.
_AFRESH = {
    "AX111": "run this cell first",
    "AX112": "set TF_USE_LEGACY_KERAS=1 in its first cell",
    "AX116": "set TF_USE_LEGACY_KERAS=1 in its first cell",
    **dict.fromkeys(("AX117", "AX118", "AX119", "AX404"), "set it in its first cell"),
}
_WITHOUT_ITEX = tuple(rule for rule in RULES if rule not in itex.RULES)


def decide(situation: Situation) -> Plan:
    """Return the plan for ``situation``. In mode ``observe`` it has findings only, in ``off`` nothing."""
    mode = situation.settings.mode
    if mode == "off":
        return Plan()
    draft = Draft(situation)
    draft.no_xla_because = flags.why_no_xla(draft)
    for rule in RULES if draft.itex is not None else _WITHOUT_ITEX:
        rule(draft)
    _note_what_is_too_late(draft)
    _advise_restart(draft)
    return _observed(draft) if mode == "observe" else _planned(draft)


def _planned(draft: Draft) -> Plan:
    return Plan(
        settings=draft.settings(),
        findings=tuple(draft.findings),
        path=_path(draft),
        jit_compile=draft.jit_compile,
        jit_because=tuple(draft.jit_because),
        import_first=draft.import_first,
        alias=dict(draft.alias),
        guard=itex.guard_on(draft),
        no_xla_because=draft.no_xla_because,
    )


def _observed(draft: Draft) -> Plan:
    findings = tuple(replace(finding, applied=False) for finding in draft.findings)
    path = _path(Draft(draft.situation))
    return Plan(findings=findings, path=path, no_xla_because=draft.no_xla_because)


def _note_what_is_too_late(draft: Draft) -> None:
    if draft.too_late:
        names = ", ".join(dict.fromkeys(draft.too_late))
        draft.findings.append(
            Finding(
                "AX111",
                "warning",
                f"tensorflow was imported before autoxla: too late to set {names}",
                "import autoxla first, or run the program with python -m autoxla",
                draft.place_of("importing"),
            )
        )


def _advise_restart(draft: Draft) -> None:
    """Say of what came too late in a notebook how to begin again."""
    restart = draft.situation.restart
    if restart is None or not draft.situation.imported:
        return
    for at, finding in enumerate(draft.findings):
        afresh = _AFRESH.get(finding.code)
        if afresh is not None and not finding.applied:
            draft.findings[at] = replace(finding, remedy=f"restart {restart} and {afresh}")


def _path(draft: Draft) -> Path:
    return Path(_generation(draft), _step(draft), _device(draft), draft.backend)


def _generation(draft: Draft) -> Literal[0, 2, 3] | None:
    known = draft.keras
    return cast("Literal[0, 2, 3] | None", 2 if known is None and draft.legacy else known)


def _step(draft: Draft) -> Step | None:
    level = draft.flags.auto_jit
    if level > 0:
        return "autocluster-1" if level == 1 else "autocluster-2"
    if draft.jit is None:
        return None
    return "xla" if draft.jit else "graph"


def _device(draft: Draft) -> str:
    if draft.itex_device:
        return "npd" if itex_lenient(draft.environment.get(itex.NPD), default=True) else "stream-executor"
    kinds = {plugin.kind for plugin in draft.situation.plugins}
    return "metal" if "metal" in kinds else "stock"
