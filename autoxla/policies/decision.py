"""`decide`: apply the rules to a situation, in their order, and give the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

from autoxla.facts import Path, Plan, Situation, Step
from autoxla.policies import backend, flags, installation, itex, keras_generation, records, xla
from autoxla.policies.rule import Draft, Rule
from autoxla.situation.env_parsing import itex_lenient

#: All rules in the order in which they apply. The switch and the flags come first, because ITEX's
#: state follows from them; within `itex` what ends the process at load comes before what ends it later.
RULES: tuple[Rule, ...] = (
    *keras_generation.RULES,
    *flags.RULES,
    *xla.RULES,
    *itex.RULES,
    *backend.RULES,
    *records.RULES,
    *installation.RULES,
)
#: The variables that rules read: those of the environment that belong to a situation. ITEX's come to them.
VARIABLES = frozenset(name for rule in RULES for name in rule.reads)
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
