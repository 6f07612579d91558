"""Whether a path computes what the default does: its losses, step by step, or what it prints.

The default runs as it is in the first round and, in the second, with each weight moved by one unit in
its last place. Where these two begin with the same loss, the program repeats itself, and another path
must follow it: at step i its loss may be off by ten times the largest difference that the moved weights
made up to i, and by the rounding of its own arithmetic. A loss stands here for any number that a step gives:
for a prediction it is a summary of the outputs.

Where they do not, or where the path draws other random numbers with the same seed, single runs cannot be
compared. Then runs of the default under several seeds are held against those of the path: at the steps 1,
2, 4 … their means may be apart by what Student's t allows at a probability of one in a thousand, and by what
rounding explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, isfinite, isnan, sqrt

Losses = Sequence[float | None]

#: What rounding alone may do to one step, as a share of the loss, by the type that it computes in.
_ROUNDING = {"float16": 2e-3, "bfloat16": 1.6e-2}
_FLOAT32 = 1e-5
#: By how much another path may exceed what moved weights do.
_GROWTH = 10.0
#: Student's t at a two-sided probability of 0.001, by degrees of freedom from 1 to 14 and more.
_STUDENT = (636.6, 31.60, 12.92, 8.610, 6.869, 5.959, 5.408, 5.041, 4.781, 4.587, 4.437, 4.318, 4.221, 4.140)


def repeats(first: Losses, moved: Losses, dtype: str) -> bool:
    """Return whether two runs of the default began with the same loss, to rounding."""
    if not first or not moved or first[0] is None or moved[0] is None:
        return False
    share = _ROUNDING.get(dtype, _FLOAT32)
    return abs(first[0] - moved[0]) <= share * abs(first[0]) or _are_same(first[0], moved[0])


def find_difference(
    first: Losses, moved: Losses, losses: Losses, dtype: str, name: str = "loss"
) -> str | None:
    """Return where ``losses``, called ``name``, leave those of the default, None where they follow.

    ``first`` are the default's own, ``moved`` those of its run with moved weights.
    """
    allowed = explain(first, moved, dtype)
    for step, (here, loss, room) in enumerate(zip(first, losses, allowed, strict=False), 1):
        if here is None or loss is None or _are_same(here, loss):
            continue
        if not isfinite(here):
            return None  # the default itself diverged
        if not isfinite(loss):
            return f"its {name} is {loss} at step {step}, the default's {here:.6g}"
        if abs(loss - here) > room:
            there = f"its {name} is {loss:.6g} at step {step}, the default's {here:.6g}"
            return f"{there}; rounding explains {room:.1g}"
    return None


def find_departure(
    drawn: Sequence[Losses], runs: Sequence[Losses], allowed: Sequence[float], name: str = "loss"
) -> str | None:
    """Return where ``runs`` of a path leave the spread of the default's, ``drawn`` under several seeds.

    ``allowed`` is what rounding explains at each step, and ``name`` what the numbers are called. None:
    nowhere, or too little is known.
    """
    for step in (2**power for power in range(max(map(len, drawn), default=0).bit_length())):
        here, there = (
            [loss for curve in curves for loss in curve[step - 1 : step] if loss is not None]
            for curves in (drawn, runs)
        )
        if len(here) < 2 or not there or not all(map(isfinite, here)):
            continue
        # Losses that grow without bounds are infinite in sums, and no error.
        usual, mean = sum(here) / len(here), sum(there) / len(there)
        said = f"the default's {usual:.6g} over {len(here)} seeds"
        if strange := [loss for loss in there if not isfinite(loss)]:
            return f"its {name} is {strange[0]} at step {step}, {said}"
        freedom = len(here) + len(there) - 2
        spread = hypot(*(loss - usual for loss in here), *(loss - mean for loss in there))
        spread *= sqrt((1 / len(here) + 1 / len(there)) / freedom)
        room = _STUDENT[min(freedom, len(_STUDENT)) - 1] * spread
        room += allowed[min(step, len(allowed)) - 1] if allowed else 0.0
        if abs(mean - usual) > room:
            return f"its {name} is {mean:.6g} at step {step}, {said}; they explain {room:.1g}"
    return None


def explain(first: Losses, moved: Losses, dtype: str) -> list[float]:
    """Return how far rounding may take a loss from that of ``first``, by step."""
    allowed, grown, largest = [], 0.0, 0.0
    for here, there in zip(first, moved, strict=False):
        if here is not None and there is not None and isfinite(here):
            grown = max(grown, abs(here - there)) if isfinite(there) else grown
            largest = max(largest, abs(here))
        allowed.append(_GROWTH * grown + _ROUNDING.get(dtype, _FLOAT32) * largest)
    return allowed


def find_changed_lines(
    before: Sequence[Sequence[str]], after: Sequence[Sequence[str]]
) -> list[tuple[str, str]]:
    """Return the lines that all runs ``before`` print, each with what all ``after`` print there instead.

    Other lines say what time it was, or what was drawn.
    """
    changed = []
    for lines in zip(*before, *after, strict=False):
        ours, theirs = set(lines[: len(before)]), set(lines[len(before) :])
        if len(ours) == len(theirs) == 1 and ours != theirs:
            changed.append((ours.pop(), theirs.pop()))
    return changed


def _are_same(one: float, other: float) -> bool:
    return one == other or (isnan(one) and isnan(other))
