"""From a situation to a plan: rules as data, and the one function that applies them in their order.

Pure: nothing here reads the environment or a file, imports a backend or has a side effect.

>>> from autoxla.model import Situation
>>> decide(Situation()).settings
()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Literal, cast

from autoxla.model import Path, Plan, Situation, Step
from autoxla.policies.draft import FLAGS, SWITCH, XLA_FLAGS, Draft
from autoxla.policies.usage import KERAS_FREE

if TYPE_CHECKING:
    from autoxla.policies.rule import Rule

__all__ = ["SUBJECTS", "VARIABLES", "decide", "list_rules"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A module of rules, in the order of its rules.

    It is loaded where it ``concerns`` the plan as it is by then: where that is False none of its rules
    applies. ``reads`` are the variables that its rules ask for, which makes them part of a situation.
    """

    module: str
    concerns: Callable[[Draft], bool]
    reads: tuple[str, ...] = ()

    def rules(self) -> tuple[Rule, ...]:
        """Return its rules; loads the module."""
        found: tuple[Rule, ...] = import_module(self.module).RULES
        return found


def _concerns_generations(draft: Draft) -> bool:
    situation = draft.situation
    is_switch_known = SWITCH in draft.environment or situation.read_values.get(SWITCH) is not None
    evidence = situation.reading.evidence
    imported = {e.name.partition(".")[0] for e in evidence if e.kind == "import"}
    return (
        is_switch_known
        or situation.settings.keras is not None
        or bool(draft.demands or draft.late_variables(""))
        or not imported <= KERAS_FREE | {"tensorflow"}
        # What a rule about generations may be needed for.
        or any(part in e.name for e in evidence for part in ("keras", "estimator", "contrib"))
    )


def _has_flags(draft: Draft) -> bool:
    return not draft.environment.keys().isdisjoint((FLAGS, XLA_FLAGS))


def _concerns_xla(draft: Draft) -> bool:
    situation, settings = draft.situation, draft.situation.settings
    return (
        _has_flags(draft)
        or settings.step is not None
        or settings.xla_cache
        or situation.tuned is not None
        or situation.settings.steps_per_execution is not None
        or situation.usage.jit_compile is True
        or "cuda" in situation.hardware.kinds
    )


#: In the order in which they apply. The switch and the flags come first, because ITEX's state follows from
#: them; within `itex` what ends the process at load comes before what ends it later.
SUBJECTS = (
    Subject("autoxla.policies.cures", lambda d: d.situation.cure is not None),
    Subject(
        "autoxla.policies.keras_generation",
        _concerns_generations,
        (SWITCH, "KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS"),
    ),
    Subject(
        "autoxla.policies.silent",
        lambda d: any(
            e.kind == "old" or e.name.endswith(".hard_sigmoid") for e in d.situation.reading.evidence
        ),
    ),
    Subject(
        "autoxla.policies.flags", lambda d: bool(d.situation.flag_names) or _has_flags(d), (FLAGS, XLA_FLAGS)
    ),
    Subject("autoxla.policies.xla", _concerns_xla, (FLAGS, XLA_FLAGS)),
    Subject("autoxla.policies.itex", lambda d: d.itex is not None),
    Subject(
        "autoxla.policies.backend",
        lambda d: (
            d.itex is not None
            or d.backend not in d.situation.backends
            or d.situation.keras_backend is not None
        ),
        ("KERAS_BACKEND",),
    ),
    Subject(
        "autoxla.policies.hindered",
        lambda d: bool(d.situation.cache_refused or d.situation.reading.unread or d.too_late),
    ),
)
#: The variables that rules read, but for those of ITEX, which are known by how they begin.
VARIABLES = frozenset(name for subject in SUBJECTS for name in subject.reads)


def list_rules() -> tuple[Rule, ...]:
    """Return all rules in the order in which they apply."""
    return tuple(rule for subject in SUBJECTS for rule in subject.rules())


def decide(situation: Situation) -> Plan:
    """Return the plan for ``situation``. In mode ``observe`` it has findings only, in ``off`` nothing."""
    mode = situation.settings.mode
    if mode == "off":
        return Plan()
    draft = Draft(situation)
    if situation.flag_names:
        from autoxla.policies.flags import why_no_xla

        draft.no_xla_because = why_no_xla(draft)
    for subject in SUBJECTS:
        if subject.concerns(draft):
            for rule in subject.rules():
                rule(draft)
    if mode == "observe":
        # Nothing is applied: the path is that of the situation as it is.
        findings = tuple(replace(finding, applied=False) for finding in draft.findings)
        path = _path(Draft(situation))
        return Plan(findings=findings, path=path, no_xla_because=draft.no_xla_because)
    asked = situation.settings.import_first
    if asked is not None and asked in situation.versions:
        draft.import_first = (asked,)
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
        steps_per_execution=draft.steps_per_execution,
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
