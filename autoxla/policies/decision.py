"""`decide`: apply the rules to a situation, in their order, and give the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

from autoxla.facts import Path, Plan, Situation, Step
from autoxla.policies import backend, flags, installation, itex, keras_generation, records, xla
from autoxla.policies.rule import Draft, Rule

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
    if mode == "observe":
        # Nothing is applied: the path is that of the situation as it is.
        findings = tuple(replace(finding, applied=False) for finding in draft.findings)
        path = _path(Draft(situation))
        return Plan(findings=findings, path=path, no_xla_because=draft.no_xla_because)
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


def _path(draft: Draft) -> Path:
    """Return the execution path that follows from ``draft``."""
    keras = 2 if draft.keras is None and draft.legacy else draft.keras
    step: Step | None = None
    if draft.flags.auto_jit > 0:
        step = "autocluster-1" if draft.flags.auto_jit == 1 else "autocluster-2"
    elif draft.jit is not None:
        step = "xla" if draft.jit else "graph"
    if draft.itex_device:
        device = "npd" if itex.npd(draft) else "stream-executor"
    else:
        device = "metal" if any(p.kind == "metal" for p in draft.situation.plugins) else "stock"
    return Path(cast("Literal[0, 2, 3] | None", keras), step, device, draft.backend)
