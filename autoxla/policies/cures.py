"""What is kept of settings under which a program lives that dies without them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from autoxla.model import OUTDATED, Cure
from autoxla.policies.draft import Draft
from autoxla.policies.rule import FILE, TF_KERAS, Example, Rule

_WHO = {"heal": "`heal` found that it dies otherwise", "learned": "an earlier run died without it"}
#: What differs from run to run in the message of one and the same death.
_VARYING = re.compile(r"0x[0-9a-fA-F]+|\d+|(?:/[\w.@+-]+){2,}/?")
_EXAMPLE = Cure({"AUTOXLA_KERAS": "2"}, "ValueError: Only input tensors may be passed", "heal", program=FILE)


def name_settings(variables: Mapping[str, str | None]) -> str:
    """Return what a cure sets, as a shell would have it, more or less."""
    return " ".join(
        f"{name} unset" if value is None else f"{name}={value}" for name, value in variables.items()
    )


def shape_of(message: str) -> str:
    """Return ``message`` without numbers, addresses and names of files, by which deaths are compared."""
    return _VARYING.sub("#", message)


def _is_outdated(draft: Draft) -> bool:
    return draft.situation.uncured.startswith(OUTDATED)


RULES = (
    Rule(
        code="AX911",
        level="info",
        title="The program starts with its cure",
        applies=lambda d: None if d.situation.uncured else d.situation.cure,
        message=lambda d: (
            f"{name_settings(d.found.variables)}, because {_WHO[d.found.origin]}: {d.found.mark.rstrip('.')}"
        ),
        remedy="start with this cure",
        why="""`heal` found that the program lives under these variables, or a run died of a known error that
        they cure. The cure stays when you edit the program, and for all its arguments. autoxla drops it if
        TensorFlow or Keras has another release, or if the program dies under it. `records clear` makes
        autoxla forget it.""",
        example=Example(
            TF_KERAS,
            known={"cure": _EXAMPLE},
            told="`heal` ran the program and found that it lives under AUTOXLA_KERAS=2",
        ),
        source="autoxla, records",
        about="cure",
        act=lambda d: [d.because.setdefault(name, [d.code]) for name in d.found.variables],
    ),
    Rule(
        code="AX913",
        level="warning",
        title="A cure is not used",
        applies=lambda d: d.situation.cure if d.situation.uncured else None,
        message=lambda d: (
            f"{name_settings(d.found.variables)} cured it"
            f"{' and is dropped:' if _is_outdated(d) else ', but'} {d.situation.uncured}"
        ),
        remedy="if it dies again, python -m autoxla heal finds what cures it now",
        milder=lambda d: not _is_outdated(d),
        why="""A cure depends on the releases of TensorFlow, Keras, tf_keras and the backend, so autoxla drops
        it if one of them changes. It uses no cure against a value that you set, or in a program whose source
        now needs Keras 3. In these two cases the message is an info.""",
        example=Example(
            TF_KERAS,
            known={"cure": _EXAMPLE, "uncured": f"{OUTDATED} tensorflow 2.20.0, which is 2.21.0 now"},
            told="`heal` had found under TensorFlow 2.20 that the program lives with AUTOXLA_KERAS=2",
            command="python -m autoxla",
        ),
        source="autoxla, records",
        about="cure",
    ),
)
