"""`decide`: apply the rules to a situation, in their order, and give the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

from autoxla.model import Path, Plan, Situation, Step
from autoxla.policies import backend, installation, keras_generation, records, xla
from autoxla.policies.rule import Draft, Rule

#: The variables that rules read, but for those of `flags` and `itex`: they belong to a situation.
VARIABLES = frozenset(
    name
    for rules in (keras_generation.RULES, xla.RULES, backend.RULES, records.RULES, installation.RULES)
    for rule in rules
    for name in rule.reads
)


def list_rules(*, cure: bool = True, flags: bool = True, itex: bool = True) -> tuple[Rule, ...]:
    """Return the rules in the order in which they apply; those that can be left out load when asked for.

    The switch and the flags come first, because ITEX's state follows from them; within `itex` what ends the
    process at load comes before what ends it later.
    """
    rules: tuple[Rule, ...] = keras_generation.RULES
    if cure:
        from autoxla.policies import cures

        rules = (*cures.RULES, *rules)
    if flags:
        from autoxla.policies import flags as about_flags

        rules += about_flags.RULES
    rules += xla.RULES
    if itex:
        from autoxla.policies import itex as about_itex

        rules += about_itex.RULES
    return (*rules, *backend.RULES, *records.RULES, *installation.RULES)


def decide(situation: Situation) -> Plan:
    """Return the plan for ``situation``. In mode ``observe`` it has findings only, in ``off`` nothing."""
    mode = situation.settings.mode
    if mode == "off":
        return Plan()
    draft = Draft(situation)
    has_flags = bool(situation.flag_names)
    if has_flags:
        from autoxla.policies.flags import why_no_xla

        draft.no_xla_because = why_no_xla(draft)
    is_cured = situation.cure is not None
    for rule in list_rules(cure=is_cured, flags=has_flags, itex=draft.itex is not None):
        rule(draft)
    if mode == "observe":
        # Nothing is applied: the path is that of the situation as it is.
        findings = tuple(replace(finding, applied=False) for finding in draft.findings)
        path = _path(Draft(situation))
        return Plan(findings=findings, path=path, no_xla_because=draft.no_xla_because)
    is_guarded = False
    if draft.itex is not None:
        from autoxla.policies.itex import guard_on

        is_guarded = guard_on(draft)
    return Plan(
        settings=draft.settings(),
        findings=tuple(draft.findings),
        path=_path(draft),
        jit_compile=draft.jit_compile,
        jit_because=tuple(draft.jit_because),
        import_first=draft.import_first,
        alias=dict(draft.alias),
        guard=is_guarded,
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
        device = "npd" if draft.npd else "stream-executor"
    else:
        device = "metal" if any(p.kind == "metal" for p in draft.situation.plugins) else "stock"
    return Path(cast("Literal[0, 2, 3] | None", keras), step, device, draft.backend)
