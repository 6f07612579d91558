"""What is kept of settings under which a program lives that dies without them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from autoxla.model import OUTDATED, Cure, Place
from autoxla.policies.example import FILE, TF_KERAS, Example
from autoxla.policies.rule import Draft, Rule

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


def _cure(draft: Draft) -> Cure:
    """Return the cure that is kept; the rules here are asked for no message where there is none."""
    return cast("Cure", draft.situation.cure)


def _is_left(draft: Draft) -> bool:
    return draft.situation.cure is not None and bool(draft.situation.uncured)


def _use(draft: Draft) -> bool:
    for name in _cure(draft).variables:
        draft.because.setdefault(name, []).append(draft.code)
    return True


def _is_outdated(draft: Draft) -> bool:
    return _is_left(draft) and draft.situation.uncured.startswith(OUTDATED)


RULES = (
    Rule(
        code="AX911",
        level="info",
        title="The program starts with what cured it",
        applies=lambda d: d.situation.cure is not None and not d.situation.uncured,
        message=lambda d: (
            f"{name_settings(_cure(d).variables)}, because {_WHO[_cure(d).origin]}: "
            f"{_cure(d).mark.rstrip('.')}"
        ),
        remedy="start with what cured it",
        why="""The program died without these variables. `heal` found by running it that it lives under them,
        or a run died of a known error that they cure. That is kept for the program, whatever its arguments
        are, and holds when you edit it. It is dropped where TensorFlow or Keras is of another release, and
        where the program dies under it: what a run learned, where it dies of the same again. `records clear`
        makes autoxla forget it.""",
        example=Example(
            TF_KERAS,
            known={"cure": _EXAMPLE},
            told="`heal` ran the program and found that it lives under AUTOXLA_KERAS=2",
        ),
        source="autoxla, records",
        about=lambda d: Place(_cure(d).program),
        act=_use,
    ),
    Rule(
        code="AX912",
        level="info",
        title="What cured the program is not used",
        applies=lambda d: _is_left(d) and not _is_outdated(d),
        message=lambda d: f"{name_settings(_cure(d).variables)} cured it, but {d.situation.uncured}",
        remedy="nothing, if that was meant",
        why="""The program died without these variables once. Now you chose another value yourself, which
        stands, or the program was changed and needs Keras 3, which they would take from it.""",
        example=Example(
            TF_KERAS,
            {"TF_USE_LEGACY_KERAS": "0"},
            known={"cure": _EXAMPLE, "uncured": "TF_USE_LEGACY_KERAS='0' is set"},
            told="`heal` ran the program and found that it lives under AUTOXLA_KERAS=2",
        ),
        source="autoxla, records",
        about=lambda d: Place(_cure(d).program),
    ),
    Rule(
        code="AX913",
        level="warning",
        title="What cured the program does not hold any more",
        applies=_is_outdated,
        message=lambda d: (
            f"{name_settings(_cure(d).variables)} cured it and is dropped: {d.situation.uncured}"
        ),
        remedy="if it dies again, python -m autoxla heal finds what cures it now",
        why="""Whether a program dies without a setting depends on the releases of TensorFlow, Keras,
        tf_keras and the backend. What was found with others says nothing of these, so the program runs as it
        is. Where it dies under what had cured it, that is dropped, too.""",
        example=Example(
            TF_KERAS,
            known={"cure": _EXAMPLE, "uncured": f"{OUTDATED} tensorflow 2.20.0, which is 2.21.0 now"},
            told="`heal` had found under TensorFlow 2.20 that the program lives with AUTOXLA_KERAS=2",
            command="python -m autoxla",
        ),
        source="autoxla, records",
        about=lambda d: Place(_cure(d).program),
    ),
)
